# SPDX-License-Identifier: GPL-2.0-or-later
"""What passed a namespace, counted by nftables: bytes and packets of layer 3, as conntrack counts."""

import json


class Truth:
    """Counts the packets of one service, by direction, where they enter or leave a namespace: "to"
    is towards the service."""

    def __init__(self, namespace, match_to, match_from, hooks=("prerouting", "postrouting"),
                 table="truth"):
        self.namespace, self.table = namespace, table
        chains = "".join(
            f"""chain {hook} {{
                type filter hook {hook} priority {priority}
                {match_to} counter name to
                {match_from} counter name from
            }}
            """ for hook, priority in (("prerouting", -500), ("postrouting", 500))
            if hook in hooks)
        namespace.nft(f"table inet {table} {{ counter to {{}}\n counter from {{}}\n {chains} }}")

    @classmethod
    def of_port(cls, namespace, protocol, port, **options):
        return cls(namespace, f"{protocol} dport {port}", f"{protocol} sport {port}", **options)

    @classmethod
    def of_ping(cls, namespace, version, **options):
        kind = "icmp" if version == 4 else "icmpv6"
        return cls(namespace, f"{kind} type echo-request", f"{kind} type echo-reply", **options)

    def read(self):
        """As a record names it: IN is from the initiator to the service."""
        listing = json.loads(self.namespace.run("nft", "-j", "list", "counters", "table", "inet",
                                                self.table).stdout)
        counters = {row["counter"]["name"]: row["counter"] for row in listing["nftables"]
                    if "counter" in row}
        return {"IN_BYTES": counters["to"]["bytes"], "IN_PKTS": counters["to"]["packets"],
                "OUT_BYTES": counters["from"]["bytes"], "OUT_PKTS": counters["from"]["packets"]}
