package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Check reports whether the server can be reached and keeps what it acknowledges: it has
// AOF, and does not evict when memory is short. The error says what to change. Call it
// at start-up, to fail early; a Store that was not checked does so before its first
// command, and refuses to work until the check has passed.
//
// It asks the primary that there is, and a Store asks the next one when that does not know
// its scripts. In a Cluster it asks one node, which should be configured like the others. It
// does not ask with [Config.InsecureAcceptDataLoss], but for whether [NewWaiting] can work.
func (s *Store) Check(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	return nil
}

// ready checks unless it has been done.
func (s *Store) ready(ctx context.Context) error {
	if s.checked.Load() {
		return nil
	}
	return s.check(ctx)
}

func (s *Store) check(ctx context.Context) error {
	if !s.cfg.InsecureAcceptDataLoss || s.cfg.WaitReplicas > 0 {
		// INFO rather than CONFIG, which managed services keep to themselves.
		reply, err := send(ctx, s.plain, "INFO")
		if err != nil {
			return refused(err)
		}
		info, err := text(reply)
		if err != nil {
			return err
		}
		if err := s.judge(parseInfo(info)); err != nil {
			return final{err}
		}
	}
	s.checked.Store(true)
	return nil
}

// unless ends the refusals that the host can overrule.
const unless = ", unless Config.InsecureAcceptDataLoss is set"

// refused adds to an error of INFO what can be done if the server may not answer it.
func refused(err error) error {
	if text := err.Error(); strings.Contains(text, "NOPERM") || strings.Contains(text, "unknown command") {
		return fmt.Errorf("the server must say by INFO how it keeps data"+unless+": %w", err)
	}
	return err
}

func (s *Store) judge(info map[string]string) error {
	if s.cfg.WaitReplicas > 0 && info["redis_mode"] != "standalone" {
		return errors.New("Config.WaitReplicas does not work in a Cluster, where WAIT may go to another node than the write")
	}
	if s.cfg.InsecureAcceptDataLoss {
		return nil
	}
	aof, limit, policy := info["aof_enabled"], info["maxmemory"], info["maxmemory_policy"]
	switch {
	case aof == "" || limit == "" || policy == "":
		return errors.New("the server must say by INFO how it keeps data, in aof_enabled, maxmemory and maxmemory_policy" + unless)
	case aof != "1":
		return errors.New("the server forgets when it crashes: it needs appendonly yes" + unless)
	case limit != "0" && policy != "noeviction":
		return fmt.Errorf("the server forgets when memory is short: it needs maxmemory-policy noeviction and has %.32s"+unless, policy)
	}
	return nil
}

// parseInfo reads lines of the form name:value.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}
