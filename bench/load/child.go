package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// childCommand is child process i of this command, which has one core.
//
// A server has that core to itself if there is taskset. With PostgreSQL that makes for a fifth
// more refreshes than where the kernel places it, and with Redis for no difference. The store
// and the driver by themselves are on the cores of clients, as what they are compared with is.
func (o *options) childCommand(ctx context.Context, what string, i int, dsn string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{self, "-child", what, "-process", strconv.Itoa(i), "-dsn", dsn, "-server", o.server, "-driver", o.driver,
		"-processes", strconv.Itoa(o.processes), "-connections", strconv.Itoa(o.connections),
		"-grants", strconv.Itoa(o.grants), "-duration", o.duration.String()}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if what == "serve" {
		pin(cmd, strconv.Itoa(i%runtime.NumCPU()))
	} else {
		_, clients := halves()
		pin(cmd, clients)
	}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the parent, whose end it sees
	return cmd, nil
}

// pin has cmd run on cores, such as "0-3", if there is taskset. It costs exactness if there is none.
func pin(cmd *exec.Cmd, cores string) {
	if path, err := exec.LookPath("taskset"); err == nil && cores != "" {
		cmd.Args = append([]string{path, "-c", cores, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = path
	}
}

// halves are the cores of a database and those of its clients, so that neither takes from the
// other what it would have on machines of their own. A single core has no halves.
func halves() (database, clients string) {
	n := runtime.NumCPU()
	if n < 2 {
		return "", ""
	}
	return fmt.Sprintf("0-%d", n/2-1), fmt.Sprintf("%d-%d", n/2, n-1)
}

// keepAway moves this process to the cores that no server process has, if there are any.
func keepAway(processes int) {
	first, last := processes, runtime.NumCPU()-1
	if path, err := exec.LookPath("taskset"); err == nil && first <= last {
		// It costs exactness if it fails, not correctness.
		_ = exec.Command(path, "-a", "-c", "-p", fmt.Sprintf("%d-%d", first, last), strconv.Itoa(os.Getpid())).Run()
	}
}
