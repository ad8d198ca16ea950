# _device.pxd -- what ports on a network device of the machine have in common.
from fastpath._port cimport Port

cdef enum:
    LINK_OVERHEAD = 18          # of an Ethernet frame over its payload: header and one tag

cdef class DevicePort(Port):
    cdef readonly str ifname    # the device; its name when the port was opened
    cdef readonly int ifindex
    cdef readonly str kind      # type of the port, as messages call it
    cdef int control            # a socket in the device's namespace, for questions about it; -1: closed.  Not owned
