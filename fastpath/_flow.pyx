# cython: language_level=3, binding=False
"""FlowKey: one flow key, or a mask over one, as Python sees it.

Values are integers in host order whatever the struct holds: ``key.nw_src`` of 10.0.0.1 is
0x0a000001, a MAC address is a 48-bit integer, an IPv6 address a 128-bit one.  A mask is a FlowKey
too, its 1-bits being the bits that matter.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from fastpath import fields as _fields


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        void *tp_dict
    void PyType_Modified(type)


@cython.final
cdef class Window:
    """Where a value lies in the key: *size* bytes at *ofs*, then *bits* bits from *lsb* up."""
    cdef readonly int ofs, size, lsb, bits
    cdef readonly bint host                 # stored in host order
    cdef readonly object limit              # largest value
    cdef uint64_t top                       # the same, for what fits a word

    def __init__(self, int ofs, int size, bint host, int lsb, int bits):
        self.ofs, self.size, self.host, self.lsb, self.bits = ofs, size, host, lsb, bits
        self.limit = (<object>1 << <object>bits) - 1      # Python arithmetic: up to 2048 bits
        self.top = ~<uint64_t>0 >> (64 - bits) if 0 < bits < 64 else ~<uint64_t>0

    # A descriptor of FlowKey: each name is one in the class, so that reading costs no search of names and
    # calling a method no detour.
    def __get__(self, key, owner):
        return self if key is None else _get(&(<FlowKey?>key).f, self)

    def __set__(self, key, value):
        _set(&(<FlowKey?>key).f, self, value)


def _window_of_field(f) -> Window:
    m = _fields.MEMBER_BY_NAME[f.member]
    # xreg and xxreg take the members that follow; arp_op is wider on the wire than its member.
    size = f.n_bytes if f.member.startswith("reg") else m.size
    return Window(_fields.OFFSETS[f.member], size, m.order == "host", f.lsb, min(f.bits, size * 8 - f.lsb))


cdef dict _WINDOWS = {name: _window_of_field(f) for name, f in _fields.BY_NAME.items()
                      if not name.startswith("tun_metadata")}
_WINDOWS.update({m.name: Window(_fields.OFFSETS[m.name], m.size, m.order == "host", 0, m.size * 8)
                 for m in _fields.MEMBERS})

WINDOWS = _WINDOWS                          # members first, then field names: read only


cdef object _get(const flow_t *f, Window w):
    cdef const uint8_t *p = <const uint8_t *>f + w.ofs
    if w.size <= 8:
        return (load_member(p, w.size, w.host) >> w.lsb) & w.top
    return (int.from_bytes(PyBytes_FromStringAndSize(<const char *>p, w.size), "big") >> w.lsb) & w.limit


cdef int _set(flow_t *f, Window w, object value) except -1:
    cdef uint8_t *p = <uint8_t *>f + w.ofs
    cdef uint64_t v
    cdef bytes raw
    if w.size <= 8:
        try:
            v = value
        except OverflowError:
            raise _too_large(w, value) from None
        if v > w.top:
            raise _too_large(w, value)
        store_member(p, w.size, w.host, (load_member(p, w.size, w.host) & ~(w.top << w.lsb)) | v << w.lsb)
        return 0
    if not 0 <= value <= w.limit:
        raise _too_large(w, value)
    if w.lsb or w.bits != w.size * 8:
        old = int.from_bytes(PyBytes_FromStringAndSize(<const char *>p, w.size), "big")
        value = (old & ~(w.limit << w.lsb)) | (value << w.lsb)
    raw = value.to_bytes(w.size, "big")
    memcpy(p, <const char *>raw, w.size)
    return 0


cdef object _too_large(Window w, object value):
    return ValueError(f"value {value:#x} does not fit in {w.bits} bits")


cdef inline void _fill(flow_t *f, Window w) noexcept nogil:
    cdef uint8_t *p = <uint8_t *>f + w.ofs
    if w.size <= 8:
        store_member(p, w.size, w.host, load_member(p, w.size, w.host) | w.top << w.lsb)
    else:
        memset(p, 0xFF, w.size)     # the wide ones are whole members


cdef inline bint key_matches(const flow_t *key, const flow_t *value, const flow_t *mask) noexcept nogil:
    # Eight words at a time: few branches, and compilers make vectors of them.
    cdef uint64_t differs
    cdef int i, j
    for i in range(0, FLOW_WORDS - FLOW_WORDS % 8, 8):
        differs = 0
        for j in range(i, i + 8):
            differs |= (key.w[j] ^ value.w[j]) & mask.w[j]
        if differs:
            return False
    differs = 0
    for j in range(FLOW_WORDS - FLOW_WORDS % 8, FLOW_WORDS):
        differs |= (key.w[j] ^ value.w[j]) & mask.w[j]
    return differs == 0


cdef bytes words_under(const flow_t *mask, const flow_t *key):
    cdef uint64_t words[FLOW_WORDS]
    cdef int i, n = 0
    for i in range(FLOW_WORDS):
        if mask.w[i]:
            words[n] = key.w[i]
            n += 1
    return PyBytes_FromStringAndSize(<const char *>words, 8 * n)


@cython.final
@cython.freelist(256)
cdef class FlowKey:
    """A flow key or a mask.  ``FlowKey(in_port=1, dl_type=0x0800)``; names are members of the
    struct or match fields (fields.py), values host-order integers.  Equal keys compare equal; the
    hash is of the bytes, so do not change a key that sits in a dict."""

    def __init__(self, **values):
        for name, value in values.items():
            w = _WINDOWS.get(name)
            if w is None:
                raise AttributeError(f"flow key has no field {name!r}")
            _set(&self.f, <Window>w, value)

    def get(self, Window w not None) -> int:
        """Value under *w*, one of WINDOWS: as an attribute, without the look-up of its name."""
        return _get(&self.f, w)

    def set(self, Window w not None, value) -> None:
        """Store *value* under *w*.  Raises ValueError when it does not fit."""
        _set(&self.f, w, value)

    def fill(self, Window w not None) -> None:
        """Set every bit under *w*: un-wildcard a whole field of a mask."""
        _fill(&self.f, w)

    def copy(self) -> FlowKey:
        """A new key with the same bytes."""
        cdef FlowKey other = FlowKey.__new__(FlowKey)
        other.f = self.f
        return other

    def clear(self) -> None:
        """Zero every member."""
        memset(&self.f, 0, sizeof(flow_t))

    def assign(self, FlowKey other not None) -> None:
        """Take over the bytes of *other*."""
        self.f = other.f

    def fold(self, FlowKey mask not None) -> None:
        """Set every bit that *mask* has (``|=`` in place)."""
        mask_fold(&self.f, &mask.f)

    def masked(self, FlowKey mask not None) -> FlowKey:
        """A new key that keeps only the bits *mask* has."""
        cdef FlowKey out = FlowKey.__new__(FlowKey)
        cdef int i
        for i in range(FLOW_WORDS):
            out.f.w[i] = self.f.w[i] & mask.f.w[i]
        return out

    def matches(self, FlowKey value not None, FlowKey mask not None) -> bool:
        """Whether this key equals *value* in every bit of *mask*."""
        return key_matches(&self.f, &value.f, &mask.f)

    def covers(self, FlowKey mask not None) -> bool:
        """Whether this mask has every bit that *mask* has."""
        cdef int i
        for i in range(FLOW_WORDS):
            if mask.f.w[i] & ~self.f.w[i]:
                return False
        return True

    def meets(self, FlowKey mask not None) -> bool:
        """Whether this mask and *mask* have a bit in common."""
        cdef int i
        for i in range(FLOW_WORDS):
            if self.f.w[i] & mask.f.w[i]:
                return True
        return False

    def pack(self, FlowKey mask not None) -> bytes:
        """The words of this key that *mask* has bits of: all of a masked key, in a tenth of the room."""
        return words_under(&mask.f, &self.f)

    @staticmethod
    def unpack(FlowKey mask not None, bytes words not None) -> FlowKey:
        """The key that gave *words* when packed with *mask*."""
        cdef FlowKey out = FlowKey.__new__(FlowKey)
        cdef const uint8_t *p = words
        cdef Py_ssize_t left = len(words)
        cdef int i
        for i in range(FLOW_WORDS):
            if mask.f.w[i]:
                if left < 8:
                    raise ValueError(f"{len(words)} bytes are too few for this mask")
                memcpy(&out.f.w[i], p, 8)
                p += 8
                left -= 8
        return out

    def is_zero(self) -> bool:
        """Whether no bit is set (as a mask: it matches everything)."""
        cdef int i
        for i in range(FLOW_WORDS):
            if self.f.w[i]:
                return False
        return True

    def items(self):
        """Yield (member name, value) of the members that are not zero, in struct order."""
        for m in _fields.MEMBERS:
            v = _get(&self.f, <Window>_WINDOWS[m.name])
            if v:
                yield m.name, v

    @staticmethod
    def from_bytes(data) -> FlowKey:
        """Key with the bytes of *data*, as ``bytes(key)`` gave them.  Raises ValueError on another size."""
        cdef FlowKey out = FlowKey.__new__(FlowKey)
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len != sizeof(flow_t):
                raise ValueError(f"flow key is {view.len} bytes, expected {sizeof(flow_t)}")
            memcpy(&out.f, view.buf, sizeof(flow_t))
        finally:
            PyBuffer_Release(&view)
        return out

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<const char *>&self.f, sizeof(flow_t))

    def __reduce__(self):
        return _from_bytes, (bytes(self),)

    def __eq__(self, other):
        if not isinstance(other, FlowKey):
            return NotImplemented
        return memcmp(&self.f, &(<FlowKey>other).f, sizeof(flow_t)) == 0

    def __hash__(self):
        cdef uint64_t h = 0
        cdef int i
        for i in range(FLOW_WORDS):
            h = hash_add(h, self.f.w[i])
        return <Py_ssize_t>(h >> 1)

    def __str__(self):
        from fastpath import flowtext
        return flowtext.format_flow(self)

    def __repr__(self):
        inside = ", ".join(f"{name}={value:#x}" for name, value in self.items())
        return f"FlowKey({inside})"


def _from_bytes(data) -> FlowKey:
    return FlowKey.from_bytes(data)         # what a pickle can name


def _name_fields() -> None:
    """Make every window a descriptor of FlowKey, which the C types of Cython offer no other way for."""
    cdef dict names = <dict>(<PyTypeObject *>FlowKey).tp_dict
    names.update(_WINDOWS)
    PyType_Modified(FlowKey)


_name_fields()


@cython.final
cdef class MaskedKeys:
    """Keys under masks, in the order they came; ``find`` tells which of them cover a key."""
    cdef list keys, masks

    def __init__(self):
        self.keys, self.masks = [], []

    def append(self, FlowKey key not None, FlowKey mask not None) -> None:
        """Add *key* under *mask*; neither may change from now on."""
        self.keys.append(key)
        self.masks.append(mask)

    def find(self, FlowKey key not None) -> int:
        """Index of the first that covers *key*, -1 if none does."""
        cdef Py_ssize_t i
        for i in range(len(self.keys)):
            if key_matches(&key.f, &(<FlowKey>self.keys[i]).f, &(<FlowKey>self.masks[i]).f):
                return i
        return -1


cdef struct patch_word_t:
    uint64_t bits, value, mask


@cython.final
cdef class Patch:
    """What one item of a match does to a key and its mask: in the bits of *bits*, the key becomes *value*
    and the mask *mask*.  With *ethernet*, a match that says nothing of the packet type asks for
    Ethernet.  Immutable, so that an item met again need not be read again."""
    cdef patch_word_t *w        # owned: words first <= i < first + n of the key
    cdef int first, n
    cdef bint ethernet

    def __cinit__(self, FlowKey bits not None, FlowKey value not None, FlowKey mask not None, *,
                  bint ethernet=False):
        cdef int i, last = FLOW_WORDS
        while self.first < last and bits.f.w[self.first] == 0:
            self.first += 1
        while last > self.first and bits.f.w[last - 1] == 0:
            last -= 1
        self.n, self.ethernet = last - self.first, ethernet
        self.w = <patch_word_t *>calloc(self.n or 1, sizeof(patch_word_t))
        if self.w == NULL:
            raise MemoryError("no room for a patch")
        for i in range(self.n):
            self.w[i].bits = bits.f.w[self.first + i]
            self.w[i].value = value.f.w[self.first + i]
            self.w[i].mask = mask.f.w[self.first + i]

    def __dealloc__(self):
        free(self.w)

    def apply(self, FlowKey key not None, FlowKey mask not None) -> None:
        """Change *key* and its *mask*."""
        cdef int i
        cdef const patch_word_t *w
        for i in range(self.n):
            w = &self.w[i]
            key.f.w[self.first + i] = (key.f.w[self.first + i] & ~w.bits) | w.value
            mask.f.w[self.first + i] = (mask.f.w[self.first + i] & ~w.bits) | w.mask
        if self.ethernet and mask.f.packet_type == 0:
            mask.f.packet_type = 0xffffffff
