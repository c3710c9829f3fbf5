package integration_test

import (
	"os"
	"testing"
)

// TestMain stops the engines that tests have started.
func TestMain(m *testing.M) {
	code := m.Run()
	stopEngines()
	os.Exit(code)
}
