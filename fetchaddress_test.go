package authwright

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Most of these cannot be dialled from a test, so that HTTP does not get here.
func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		addresses []string
		loopback  bool // allowed with the switch
		ok        bool
	}{
		{name: "CM-06 public addresses", ok: true, addresses: []string{
			"1.1.1.1:443", "93.184.215.14:8443", "172.15.255.255:443", "172.32.0.1:443", "192.167.255.255:443", "100.63.255.255:443", "100.128.0.1:443",
			"[2606:4700:4700::1111]:443", "[2a00:1450:4001:80b::200e]:443", "[::ffff:1.1.1.1]:443",
		}},
		{name: "CM-06 loopback", loopback: true, addresses: []string{
			"127.0.0.1:443", "127.255.255.254:443", "[::1]:443", "[::ffff:127.0.0.1]:443", "[::ffff:7f00:1]:443", "[::1%lo]:443",
		}},
		{name: "CM-06 private networks", addresses: []string{
			"10.0.0.1:443", "172.16.0.1:443", "172.31.255.255:443", "192.168.1.1:443", "[fc00::1]:443", "[fd12:3456::1]:443", "[::ffff:10.0.0.1]:443", "[fec0::1]:443",
		}},
		{name: "CM-06 link-local", addresses: []string{
			"169.254.169.254:80", "[fe80::1]:443", "[fe80::1%eth0]:443", "[::ffff:169.254.169.254]:443",
		}},
		{name: "CM-06 IPv4 in IPv6, for a translator", addresses: []string{
			"[64:ff9b::7f00:1]:443", "[64:ff9b::a9fe:a9fe]:443", "[64:ff9b::101:101]:443", "[64:ff9b:1::1]:443", "[::127.0.0.1]:443", "[::a9fe:a9fe]:443",
			"[2002:7f00:1::]:443", "[2002:a9fe:a9fe::1]:443", "[2001:0:7f00:1::]:443",
		}},
		{name: "CM-06 nowhere, everywhere and many", addresses: []string{
			"0.0.0.0:443", "[::]:443", "0.1.2.3:443", "255.255.255.255:443", "224.0.0.1:443", "[ff02::1]:443", "240.0.0.1:443",
		}},
		{name: "CM-06 special use", addresses: []string{
			"100.64.0.1:443", "100.127.255.255:443", "192.0.0.8:443", "192.0.0.192:80", "192.0.2.1:443", "192.88.99.1:443", "198.18.0.1:443", "198.19.255.255:443",
			"198.51.100.1:443", "203.0.113.1:443", "[100::1]:443", "[2001:db8::1]:443", "[2001:2::1]:443", "[3fff::1]:443", "[5f00::1]:443", "[4000::1]:443",
		}},
		{name: "CM-06 no address", addresses: []string{"", "localhost:443", "127.0.0.1", "1.1.1.1", "[::1]", ":443", "1.1.1.1:x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, address := range test.addresses {
				require.Equal(t, test.ok, checkAddress(address, false) == nil, address)
				require.Equal(t, test.ok || test.loopback, checkAddress(address, true) == nil, "%s, with the switch", address)
			}
		})
	}
}
