"""The C ABI of libflowoffload for ctypes: structs, constants and prototypes, as flowoffload.h has them.

Nothing here is more convenient than C; flowoffload.py is the Python face of it. layout.py turns this file into a
C program that compares every offset and value with the header, and a test runs it.
"""
import ctypes
import os
from ctypes import (CFUNCTYPE, POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint, c_uint8, c_uint16, c_uint32,
                    c_uint64, c_void_p)

CONSTANTS = {
    "FO_ORIGINAL": 0, "FO_REPLY": 1, "FO_PASS": 0, "FO_FORWARD": 1,
    "FO_FAMILY_IPV4": 4, "FO_FAMILY_IPV6": 6, "FO_NAT_NONE": 1, "FO_NAT_SRC": 2, "FO_NAT_DST": 4,
    "FO_R_PACKET_MAX": 32, "FO_R_MAX": 96, "FO_CAP_COUNT": 40, "FO_MAX_ENCAPS": 3,
    "FO_TIMEOUT_TABLE": 0, "FO_TIMEOUT_NEVER": 0xffffffff, "FO_PORT_ANY": 0xffffffff,
    "FO_PORT_UP": 0, "FO_PORT_DOWN": 1, "FO_PORT_GONE": 2,
    "FO_ENCAP_8021Q": 1, "FO_ENCAP_8021AD": 2, "FO_ENCAP_PPPOE": 3,
    "FO_STATS_PACKETS": 1, "FO_STATS_BYTES": 2, "FO_STATS_LAST_SEEN": 4, "FO_STATS_FINAL": 8,
    "FO_UPDATE_TIMEOUT": 1, "FO_UPDATE_TAG": 2, "FO_UPDATE_MARK": 4, "FO_UPDATE_DSCP": 8, "FO_UPDATE_ADJ": 16,
    "FO_UPDATE_USER": 32,
    "FO_MATCH_TAG": 1, "FO_MATCH_PORT": 2, "FO_MATCH_SCOPE": 32, "FO_MATCH_PROTO": 64, "FO_MATCH_ADJ": 256,
    "FO_EV_STATE": 1, "FO_EV_FALLBACK": 2, "FO_EV_WORKER": 3, "FO_EV_DELETED": 16, "FO_EV_CLOSED": 17,
    "FO_EV_EXPIRED": 18, "FO_EV_INVALIDATED": 19, "FO_EV_REFUSED": 20, "FO_EV_LOST": 21,
    "FO_WORKER_FLOW_IDS": 1,
}
globals().update(CONSTANTS)


class Error(ctypes.Structure):
    c_name = "fo_error"
    _fields_ = [("code", c_int32), ("reason", c_uint16), ("stage", c_uint16), ("backend_errno", c_int32),
                ("field", c_char * 44), ("text", c_char * 200)]


class Caps(ctypes.Structure):
    c_name = "fo_caps"
    _fields_ = [("size", c_size_t), ("backend", c_char * 16), ("can", c_uint64), ("max_flows", c_uint32),
                ("max_encaps", c_uint32), ("delete_bound_ms", c_uint32), ("age_granularity_ms", c_uint32),
                ("max_workers", c_uint32), ("stats_flags", c_uint32), ("text", c_char * 160),
                ("choice", c_char * 400)]


class Port(ctypes.Structure):
    c_name = "fo_port"
    _fields_ = [("size", c_size_t), ("port", c_uint32), ("state", c_uint32)]


CLOCK = CFUNCTYPE(c_uint64, c_void_p)


class TableOptions(ctypes.Structure):
    c_name = "fo_table_options"
    _fields_ = [("size", c_size_t), ("backend", c_char_p), ("needs", c_uint64), ("capacity", c_uint32),
                ("max_workers", c_uint32), ("ports", POINTER(Port)), ("n_ports", c_size_t),
                ("port_stride", c_size_t), ("timeout_tcp_ms", c_uint32), ("timeout_udp_ms", c_uint32),
                ("timeout_icmp_ms", c_uint32), ("hash", c_uint32), ("allocator", c_void_p), ("clock_ms", CLOCK),
                ("clock_ctx", c_void_p), ("netns_fd", c_int32), ("flags", c_uint32),
                ("backend_options", c_void_p), ("stall_ms", c_uint32), ("reserved", c_uint32)]


class Encap(ctypes.Structure):
    c_name = "fo_encap"
    _fields_ = [("kind", c_uint16), ("id", c_uint16), ("pcp", c_uint8), ("dei", c_uint8), ("reserved", c_uint16)]


class Adj(ctypes.Structure):
    c_name = "fo_adj"
    _fields_ = [("size", c_size_t), ("port", c_uint32), ("l3_dev", c_uint32), ("own_mac", c_uint8 * 6),
                ("peer_mac", c_uint8 * 6), ("n_encaps", c_uint32), ("encap", Encap * 3), ("mtu", c_uint32),
                ("flags", c_uint32)]


class Tuple(ctypes.Structure):
    c_name = "fo_tuple"
    _fields_ = [("src", c_uint8 * 16), ("dst", c_uint8 * 16), ("sport_be", c_uint16), ("dport_be", c_uint16),
                ("family", c_uint8), ("proto", c_uint8), ("reserved", c_uint16)]


class Flow(ctypes.Structure):
    c_name = "fo_flow"
    _fields_ = [("size", c_size_t), ("tuple", Tuple * 2), ("adj", c_uint64 * 2), ("needs", c_uint64),
                ("user", c_uint64), ("tag", c_uint32), ("ct_mark", c_uint32), ("timeout_ms", c_uint32),
                ("scope", c_uint16), ("dscp", c_uint8 * 2), ("nat", c_uint32), ("reserved", c_uint32)]


class FlowCounters(ctypes.Structure):
    c_name = "fo_flow_counters"
    _fields_ = [("size", c_size_t), ("packets", c_uint64 * 2), ("bytes", c_uint64 * 2),
                ("last_seen_ms", c_uint64 * 2), ("flags", c_uint32), ("reserved", c_uint32)]


class Key(ctypes.Structure):
    c_name = "fo_key"
    _fields_ = [("size", c_size_t), ("tuple", Tuple), ("port", c_uint32), ("n_encaps", c_uint32),
                ("encap", Encap * 3), ("scope", c_uint16), ("reserved", c_uint16 * 3)]


class FlowInfo(ctypes.Structure):
    c_name = "fo_flow_info"
    _fields_ = [("size", c_size_t), ("id", c_uint64), ("flow", Flow), ("state", c_uint32), ("reason", c_uint32),
                ("since_ms", c_uint64), ("counters", FlowCounters)]


class Match(ctypes.Structure):
    c_name = "fo_match"
    _fields_ = [("size", c_size_t), ("mask", c_uint32), ("tag", c_uint32), ("port", c_uint32),
                ("l3_dev", c_uint32), ("mac", c_uint8 * 6), ("scope", c_uint16), ("prefix", c_uint8 * 16),
                ("prefix_len", c_uint8), ("family", c_uint8), ("proto", c_uint8), ("state", c_uint8),
                ("reserved", c_uint32), ("adj", c_uint64)]


class Policy(ctypes.Structure):
    c_name = "fo_policy"
    _fields_ = [("size", c_size_t), ("adj", c_uint64 * 2), ("src", c_uint8 * 16), ("dst", c_uint8 * 16),
                ("src_len", c_uint8), ("dst_len", c_uint8), ("family", c_uint8), ("proto", c_uint8),
                ("sport_first", c_uint16), ("sport_last", c_uint16), ("dport_first", c_uint16),
                ("dport_last", c_uint16), ("timeout_ms", c_uint32), ("tag", c_uint32), ("scope", c_uint16),
                ("reserved", c_uint16 * 3), ("user", c_uint64)]


class Event(ctypes.Structure):
    c_name = "fo_event"
    _fields_ = [("size", c_size_t), ("kind", c_uint32), ("reason", c_uint32), ("flow", c_uint64),
                ("user", c_uint64), ("tag", c_uint32), ("state", c_uint32), ("worker", c_uint32),
                ("backend_errno", c_int32), ("counters", FlowCounters)]


class TableCounters(ctypes.Structure):
    c_name = "fo_table_counters"
    _fields_ = [("size", c_size_t), ("flows", c_uint64), ("closing", c_uint64), ("capacity", c_uint64),
                ("adjacencies", c_uint64), ("added", c_uint64), ("refused", c_uint64), ("ended", c_uint64 * 8),
                ("forwarded_packets", c_uint64), ("forwarded_bytes", c_uint64), ("passed", c_uint64 * 32),
                ("index_moves", c_uint64), ("index_rotations", c_uint64), ("memory", c_uint64),
                ("workers", c_uint32), ("flags", c_uint32)]


class Explanation(ctypes.Structure):
    c_name = "fo_explanation"
    _fields_ = [("size", c_size_t), ("flow", c_uint64), ("state", c_uint32), ("reason", c_uint32),
                ("stage", c_uint32), ("backend_errno", c_int32), ("dir", c_uint32), ("reserved", c_uint32),
                ("since_ms", c_uint64), ("counters", FlowCounters), ("text", c_char * 400)]


class Packet(ctypes.Structure):
    c_name = "fo_packet"
    _fields_ = ([("data", POINTER(c_uint8))]
                + ([("data_hi", c_uint32)] if ctypes.sizeof(c_void_p) == 4 else [])
                + [("user", c_uint64), ("contiguous", c_uint32), ("length", c_uint32), ("in_port", c_uint32),
                   ("out_port", c_uint32), ("flags", c_uint32), ("headroom", c_uint16), ("gso_size", c_uint16),
                   ("csum_start", c_uint16), ("csum_offset", c_uint16), ("vlan_tci", c_uint16),
                   ("vlan_tpid", c_uint16), ("flow", c_uint64), ("verdict", c_uint8), ("reason", c_uint8),
                   ("scope", c_uint16), ("reserved", c_uint32)])


class WorkerOptions(ctypes.Structure):
    c_name = "fo_worker_options"
    _fields_ = [("size", c_size_t), ("packet_size", c_size_t), ("flags", c_uint32), ("reserved", c_uint32)]


STRUCTS = [Error, Caps, Port, TableOptions, Encap, Adj, Tuple, Flow, FlowCounters, Key, FlowInfo, Match, Policy,
           Event, TableCounters, Explanation, Packet, WorkerOptions]

EVENT_CALLBACK = CFUNCTYPE(None, c_void_p, POINTER(Event))
WALK_CALLBACK = CFUNCTYPE(c_int, c_void_p, POINTER(FlowInfo))

TABLE = WORKER = c_void_p
ERR = POINTER(Error)

# name: (result, arguments). fo_backend_register() is missing: a backend in Python is not what this binding is for.
PROTOTYPES = {
    "fo_reason_name": (c_char_p, [c_uint]),
    "fo_reason_text": (c_char_p, [c_uint]),
    "fo_stage_name": (c_char_p, [c_uint]),
    "fo_state_name": (c_char_p, [c_uint]),
    "fo_event_name": (c_char_p, [c_uint]),
    "fo_cap_name": (c_char_p, [c_uint]),
    "fo_version": (c_char_p, []),
    "fo_backend_name": (c_char_p, [c_uint]),
    "fo_backend_probe": (c_int, [c_char_p, POINTER(TableOptions), POINTER(Caps), ERR]),
    "fo_table_create": (c_int, [POINTER(TableOptions), POINTER(TABLE), ERR]),
    "fo_table_destroy": (None, [TABLE]),
    "fo_table_caps": (c_int, [TABLE, POINTER(Caps), ERR]),
    "fo_table_fd": (c_int, [TABLE]),
    "fo_table_deadline": (c_uint64, [TABLE]),
    "fo_table_poll": (c_int, [TABLE, c_uint, c_uint, EVENT_CALLBACK, c_void_p, ERR]),
    "fo_table_sync": (c_int, [TABLE, c_uint, ERR]),
    "fo_port_set": (c_int, [TABLE, POINTER(Port), ERR]),
    "fo_adj_add": (c_int, [TABLE, POINTER(Adj), POINTER(c_uint64), ERR]),
    "fo_adj_update": (c_int, [TABLE, c_uint64, POINTER(Adj), ERR]),
    "fo_adj_del": (c_int, [TABLE, c_uint64, ERR]),
    "fo_adj_get": (c_int, [TABLE, c_uint64, POINTER(Adj), ERR]),
    "fo_flow_add": (c_int, [TABLE, POINTER(Flow), POINTER(c_uint64), ERR]),
    "fo_flow_add_many": (c_int, [TABLE, POINTER(Flow), c_size_t, c_size_t, POINTER(c_uint64), POINTER(c_int), ERR]),
    "fo_flow_update": (c_int, [TABLE, c_uint64, c_uint32, POINTER(Flow), ERR]),
    "fo_flow_del": (c_int, [TABLE, c_uint64, POINTER(FlowCounters), ERR]),
    "fo_flow_del_many": (c_int, [TABLE, POINTER(c_uint64), c_size_t, POINTER(c_int), ERR]),
    "fo_flow_find": (c_int, [TABLE, POINTER(Key), POINTER(c_uint64), POINTER(c_uint), ERR]),
    "fo_flow_get": (c_int, [TABLE, c_uint64, POINTER(FlowInfo), ERR]),
    "fo_flow_stats": (c_int, [TABLE, c_uint64, POINTER(FlowCounters), ERR]),
    "fo_flow_walk": (c_int, [TABLE, POINTER(Match), WALK_CALLBACK, c_void_p, ERR]),
    "fo_flow_explain": (c_int, [TABLE, c_uint64, POINTER(Key), POINTER(Explanation), ERR]),
    "fo_invalidate": (c_int, [TABLE, POINTER(Match), ERR]),
    "fo_policy_add": (c_int, [TABLE, POINTER(Policy), POINTER(c_uint64), ERR]),
    "fo_policy_del": (c_int, [TABLE, c_uint64, ERR]),
    "fo_policy_get": (c_int, [TABLE, c_uint64, POINTER(Policy), ERR]),
    "fo_policy_at": (c_uint64, [TABLE, c_uint]),
    "fo_stats": (c_int, [TABLE, POINTER(TableCounters), ERR]),
    "fo_worker_open": (c_int, [TABLE, POINTER(WorkerOptions), POINTER(WORKER), ERR]),
    "fo_worker_run": (c_uint, [WORKER, POINTER(Packet), c_uint, c_uint64]),
    "fo_worker_close": (None, [WORKER]),
}


def load(path=None):
    """The shared library with its prototypes set: path, $FLOWOFFLOAD_LIBRARY, or what the dynamic linker finds."""
    library = ctypes.CDLL(path or os.environ.get("FLOWOFFLOAD_LIBRARY") or "libflowoffload.so.0")
    for name, (result, arguments) in PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def new(struct):
    """A struct of this file, zero, with its size set where it has one: FO_INIT()."""
    value = struct()
    if struct._fields_[0][0] == "size":
        value.size = ctypes.sizeof(struct)
    return value
