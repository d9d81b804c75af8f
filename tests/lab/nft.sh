#!/bin/bash
# nft.sh BUILD - run in a guest: the backend nft on a kernel that has loaded nothing of it yet, its own cases, and
# the conformance suite through the rig nft. Closes with `N passed, N failed, N skipped` of all three.
set -u
build=$1
# shellcheck source=tests/lab/parts.sh
. "$(dirname "$0")/parts.sh"

says() { # WORD - does the probe of nft, without any permission, say it?
	"$build/examples/fo-demo/fo-demo" probe | sed -n '/^nft/,/^[a-z]/p' | tee /dev/stderr | grep -q -- "$1"
}

# The probe itself must make the kernel load what it asks for: conntrack's sysctls do not exist before.
fresh() {
	if grep -q '^nf_conntrack ' /proc/modules; then
		echo "FAIL nf_conntrack is loaded already: this shows nothing"
	elif ! says 'nf_conntrack_acct must be 1'; then
		echo "FAIL the probe does not ask for the sysctl that is missing"
	elif ! sysctl -q -w net.netfilter.nf_conntrack_acct=1 || ! says '^nft: usable'; then
		echo "FAIL the probe does not say that it can"
	else
		echo "ok   a_probe_loads_what_it_asks_for"
		echo "1 passed, 0 failed, 0 skipped"
		return 0
	fi
	echo "0 passed, 1 failed, 0 skipped"
	return 1
}

# A router of world.sh, killed: neither its processes nor a name stay.
killed() {
	local child
	"$tests/nft/world.sh" sleep 4711 &
	child=$!
	until pgrep -f '^sleep 4711' >/dev/null; do
		kill -0 "$child" || break
		sleep 0.1
	done
	kill -KILL "$child" && wait "$child" 2>/dev/null
	for _ in {1..600}; do
		if ! pgrep -f '^sleep 4711' >/dev/null && [ -z "$(ip netns list)" ]; then
			echo "ok   a_killed_world_leaves_nothing"
			echo "1 passed, 0 failed, 0 skipped"
			return 0
		fi
		sleep 0.1
	done
	echo "FAIL a_killed_world_leaves_nothing: $(pgrep -af '^sleep 4711'; ip netns list)"
	echo "0 passed, 1 failed, 0 skipped"
	return 1
}

tests=$(dirname "$0")/..
part fresh fresh
part killed killed
part nft-live "$tests/nft/world.sh" "$build/tests/nft/nft-live"
part conformance "$tests/conformance/shares.sh" "${LAB_SHARES:-4}" "$build/tests/conformance/fo-conformance" --rig nft
parts_end
