/* The reasons a packet is dropped for. */
#ifndef FASTPATH_DROPS_H
#define FASTPATH_DROPS_H

/* Every drop has a counter: name in C, text, meaning. */
#define DROP_REASONS(X)                                                       \
    X(RX_INVALID, "rx_invalid_packet")          /* shorter than an Ethernet header, longer than a port takes */ \
    X(ACTION, "action_drop")                    /* the program says drop, or is empty */ \
    X(EXPLICIT, "explicit_drop")                /* drop action with a reason from translation */ \
    X(INVALID_PORT, "invalid_port")             /* output to a port that is not there */ \
    X(TX_FULL, "tx_queue_full")                 /* the port could not take it */ \
    X(UPCALL_FULL, "upcall_queue_full")         /* no room to tell ofproto */ \
    X(UPCALL_QUOTA, "upcall_quota")             /* the port has used its share of upcalls */ \
    X(RECIRC_DEPTH, "recirc_too_deep")          /* more recirculations than allowed */ \
    X(METER, "meter")                           /* a band of a meter */ \
    X(NO_ROOM, "no_headroom")                   /* no room to push a header */ \
    X(BAD_ACTION, "action_not_applicable")      /* header to rewrite or pop is not there */ \
    X(NO_MEMORY, "no_memory")                   /* pool exhausted */ \
    X(NO_FLOW, "no_flow")                       /* miss while upcalls are off */ \
    X(GSO, "cannot_segment")                    /* larger than the port takes and not to be cut */ \
    X(FAULT, "fault_injected")                  /* a port that is meant to lose packets */ \
    X(NO_CONNTRACK, "no_conntrack")             /* ct() where there is no connection tracking */

enum drop_reason {
#define X(name, text) DROP_##name,
    DROP_REASONS(X)
#undef X
    N_DROPS
};

static const char *const drop_text[] = {
#define X(name, text) text,
    DROP_REASONS(X)
#undef X
};

#endif
