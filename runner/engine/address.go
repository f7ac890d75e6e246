package engine

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// notPublic are the IPv4 addresses that are nobody's on the internet, by the
// registry of special-purpose addresses (RFC 6890 and what came after it).
var notPublic = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // of providers, behind their translation
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, where clouds keep their metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // of protocols
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
)

// Parts of IPv6. What is outside of global is local, reserved or multicast, but for
// the addresses that stand for those of IPv4.
var (
	global      = netip.MustParsePrefix("2000::/3")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	teredo      = netip.MustParsePrefix("2001::/32")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	notPublicV6 = prefixes(
		"2001::/23",     // of protocols
		"2001:db8::/32", // documentation
		"3fff::/20",     // documentation
	)
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func anyOf(addr netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// isPrivate tells whether an address is none of the public internet, or stands for
// one that is not.
func isPrivate(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return anyOf(addr, notPublic)
	}
	b := addr.As16()
	switch {
	case !addr.IsValid():
		return true
	case nat64.Contains(addr):
		return isPrivate(netip.AddrFrom4([4]byte(b[12:])))
	case sixToFour.Contains(addr):
		return isPrivate(netip.AddrFrom4([4]byte(b[2:])))
	case teredo.Contains(addr): // of a server, and of a client with its bits turned over
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return isPrivate(netip.AddrFrom4([4]byte(b[4:]))) || isPrivate(netip.AddrFrom4(client))
	}
	return !global.Contains(addr) || anyOf(addr, notPublicV6)
}

// isLocalName tells whether a name is that of this machine by definition (RFC 6761).
func isLocalName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// writtenAddr gives the address that a host is written as, also in the odd forms of
// IPv4 that C libraries, and proxies, understand: 127.1, 0x7f.0.0.1, 2130706433.
func writtenAddr(host string) (addr netip.Addr, ok bool) {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil { // full-width digits and dots
		host = ascii
	}
	host = strings.TrimSuffix(host, ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, true
	}
	fields := strings.Split(host, ".")
	if len(fields) > 4 {
		return netip.Addr{}, false
	}
	var all uint64
	for i, field := range fields {
		bits := 8
		if i == len(fields)-1 { // the last one fills what is left
			bits = 8 * (4 - i)
		}
		n, err := parseOctet(field, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		all = all<<bits | n
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(all)))), true
}

// parseOctet reads a number as C does: 0x is hexadecimal, a leading zero octal.
func parseOctet(s string, bits int) (uint64, error) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
		if s == "" {
			s = "0"
		}
	case len(s) > 1 && s[0] == '0':
		base = 8
	}
	return strconv.ParseUint(s, base, bits)
}
