# cython: language_level=3, binding=True
"""Making, comparing and telling instances of value classes, whatever their members are.

``fastpath.value`` makes the classes.  What their instances do is here once for all of them, and reads from
the Shape of the class which slots there are; the standard library's dataclasses instead write, compile and
run a text for each method of each class, which is most of what it then costs to import a program.
A call of the class comes straight to ``make``, without a tuple of its arguments.  Any thread, under the GIL.
"""

cimport cython
from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    #include <structmember.h>
    #define SLOT_OFFSET(descr) (((PyMemberDescrObject *)(descr))->d_member->offset)
    """
    Py_ssize_t SLOT_OFFSET(PyObject *) nogil

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        PyObject *tp_dict
        PyObject *(*tp_alloc)(PyTypeObject *, Py_ssize_t)
        void *tp_vectorcall
    Py_ssize_t PyVectorcall_NARGS(size_t)
    PyObject *PyDict_GetItem(PyObject *, object)
    PyObject *PyTuple_GET_ITEM(PyObject *, Py_ssize_t)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *)

MISSING = object()              # the default of a member that has none

cdef object SHAPE = "__shape__"
cdef object NO_DEFAULT = MISSING


@cython.final
cdef class Shape:
    """The members of a value class: first those its call takes, in order, then those it does not."""
    cdef readonly tuple names, annotations
    cdef readonly tuple defaults        # MISSING for none
    cdef readonly tuple factories       # called where there is no default; None for none
    cdef readonly frozenset compared, told
    cdef readonly Py_ssize_t n_given    # how many the call takes
    cdef bint has_more                  # __post_init__ is to be called
    cdef dict index                     # name -> position
    cdef Py_ssize_t n
    cdef Py_ssize_t *offset             # owned; of each member's slot

    def __init__(self, *, tuple names not None, tuple annotations not None, tuple defaults not None,
                 tuple factories not None, Py_ssize_t n_given, frozenset compared not None,
                 frozenset told not None):
        self.names, self.annotations, self.defaults, self.factories = names, annotations, defaults, factories
        self.n_given, self.compared, self.told = n_given, compared, told
        self.n = len(names)
        self.index = {name: i for i, name in enumerate(names)}

    def __dealloc__(self):
        free(self.offset)

    def fit(self, cls) -> None:
        """Find the slots of *cls*, a new class of this shape, and have its calls come to ``make`` if it has
        no way of its own to make instances."""
        cdef Py_ssize_t i
        self.offset = <Py_ssize_t *>calloc(self.n or 1, sizeof(Py_ssize_t))
        if self.offset == NULL:
            raise MemoryError("no room for the shape of a class")
        kind = type(MemberProbe.slot)
        for i in range(self.n):
            slot = getattr(cls, self.names[i])
            if type(slot) is not kind:
                raise TypeError(f"{cls.__name__}.{self.names[i]} is no slot")
            self.offset[i] = SLOT_OFFSET(<PyObject *>slot)
        self.has_more = hasattr(cls, "__post_init__")
        if cls.__init__ is init and cls.__new__ is object.__new__ and type(cls) is type:
            (<PyTypeObject *>cls).tp_vectorcall = <void *>make


class MemberProbe:
    __slots__ = ("slot",)


cdef inline PyObject **slot_of(PyObject *of, Shape shape, Py_ssize_t i) noexcept:
    return <PyObject **>(<char *>of + shape.offset[i])


cdef inline Shape shape_of(object cls):
    cdef PyObject *found = PyDict_GetItem((<PyTypeObject *>cls).tp_dict, SHAPE)
    return <Shape>found if found != NULL else <Shape>cls.__shape__      # of a subclass that is no value itself


cdef inline void put(PyObject **slot, object value) noexcept:
    Py_INCREF(value)
    slot[0] = <PyObject *>value


cdef object make(PyObject *cls, PyObject **args, size_t nargsf, PyObject *names):
    """The instance that a call of *cls* is to give (its vectorcall)."""
    cdef PyObject *raw = (<PyTypeObject *>cls).tp_alloc(<PyTypeObject *>cls, 0)
    cdef Py_ssize_t n = PyVectorcall_NARGS(nargsf), i
    cdef Shape shape
    if raw == NULL:
        raise MemoryError("no room for a value")
    self = <object>raw
    Py_DECREF(self)
    shape = shape_of(<object>cls)
    if n > shape.n_given:
        raise TypeError(f"{shape_name(self)}() takes {shape.n_given} positional arguments but {n} were given")
    for i in range(n):
        put(slot_of(raw, shape, i), <object>args[i])
    if names != NULL:
        for i in range(PyTuple_GET_SIZE(names)):
            give(self, shape, <object>PyTuple_GET_ITEM(names, i), <object>args[n + i])
    complete(self, shape)
    return self


cdef object shape_name(object self):
    return type(self).__qualname__


cdef int give(object self, Shape shape, object name, object value) except -1:
    """Set the member *name*, which must not be set."""
    cdef Py_ssize_t i = shape.index.get(name, shape.n)
    cdef PyObject **slot
    if i >= shape.n_given:
        raise TypeError(f"{shape_name(self)}() got an unexpected keyword argument {name!r}")
    slot = slot_of(<PyObject *>self, shape, i)
    if slot[0] != NULL:
        raise TypeError(f"{shape_name(self)}() got multiple values for argument {name!r}")
    put(slot, value)
    return 0


cdef int complete(object self, Shape shape) except -1:
    """Give the members that are not set their defaults."""
    cdef Py_ssize_t i
    cdef PyObject **slot
    cdef object default
    for i in range(shape.n):
        slot = slot_of(<PyObject *>self, shape, i)
        if slot[0] != NULL:
            continue
        default = shape.defaults[i]
        if default is NO_DEFAULT:
            factory = shape.factories[i]
            if factory is None:
                if i < shape.n_given:
                    raise TypeError(f"{shape_name(self)}() missing argument {shape.names[i]!r}")
                continue
            default = factory()
        put(slot, default)
    if shape.has_more:
        self.__post_init__()
    return 0


def init(self, *args, **kwargs):
    """``__init__`` of value classes, for subclasses that are none and for whoever calls it himself."""
    cdef Shape shape = shape_of(type(self))
    cdef Py_ssize_t i
    cdef PyObject **slot
    if len(args) > shape.n_given:
        raise TypeError(f"{shape_name(self)}() takes {shape.n_given} positional arguments but {len(args)} "
                        "were given")
    for i in range(shape.n):
        slot = slot_of(<PyObject *>self, shape, i)
        if slot[0] != NULL:
            old = <object>slot[0]
            slot[0] = NULL
            Py_DECREF(old)
    for i in range(len(args)):
        put(slot_of(<PyObject *>self, shape, i), args[i])
    for name, value in kwargs.items():
        give(self, shape, name, value)
    complete(self, shape)


def replaced(self, /, **changes):
    """A new value, equal but for *changes*; members a call does not take are made anew."""
    cdef Shape shape = shape_of(type(self))
    cdef object cls = type(self)
    cdef PyObject *raw = (<PyTypeObject *>cls).tp_alloc(<PyTypeObject *>cls, 0)
    cdef PyObject *old
    cdef Py_ssize_t i
    if raw == NULL:
        raise MemoryError("no room for a value")
    new = <object>raw
    Py_DECREF(new)
    for name, value in changes.items():
        give(new, shape, name, value)
    for i in range(shape.n_given):
        old = slot_of(<PyObject *>self, shape, i)[0]
        if old != NULL and slot_of(raw, shape, i)[0] == NULL:
            put(slot_of(raw, shape, i), <object>old)
    complete(new, shape)
    return new


def is_equal(self, other):
    """``__eq__``: of the same class, and every member that is compared is equal."""
    cdef Shape shape
    cdef Py_ssize_t i
    cdef PyObject *a
    cdef PyObject *b
    if self is other:
        return True
    if type(self) is not type(other):
        return NotImplemented
    shape = shape_of(type(self))
    for i in range(shape.n):
        a, b = slot_of(<PyObject *>self, shape, i)[0], slot_of(<PyObject *>other, shape, i)[0]
        if a == b or shape.names[i] not in shape.compared:
            continue
        if a == NULL or b == NULL or not PyObject_RichCompareBool(<object>a, <object>b, Py_EQ):
            return False
    return True


cdef list members(object self, frozenset chosen):
    cdef Shape shape = shape_of(type(self))
    cdef Py_ssize_t i
    cdef PyObject *value
    out = []
    for i in range(shape.n):
        if shape.names[i] in chosen:
            value = slot_of(<PyObject *>self, shape, i)[0]
            if value == NULL:
                raise AttributeError(f"{shape_name(self)} has no {shape.names[i]!r} yet")
            out.append(<object>value)
    return out


def hashed(self):
    """``__hash__`` over the members that are compared."""
    return hash(tuple(members(self, shape_of(type(self)).compared)))


def told(self):
    """``__repr__``, as that of a dataclass."""
    cdef Shape shape = shape_of(type(self))
    names = [name for name in shape.names if name in shape.told]
    values = members(self, shape.told)
    inside = ", ".join([f"{name}={value!r}" for name, value in zip(names, values)])
    return f"{shape_name(self)}({inside})"


def state(self):
    """``__getstate__``: all members."""
    return members(self, frozenset(shape_of(type(self)).names))


def set_state(self, values):
    """``__setstate__``."""
    cdef Shape shape = shape_of(type(self))
    for name, value in zip(shape.names, values):
        object.__setattr__(self, name, value)
