"""DevicePort: a port on a network device that is there without us, and may change or go without us."""
from fastpath._port cimport Port

from fastpath.errors import PortError
from fastpath.io import link


cdef class DevicePort(Port):
    """Address, MTU and link of the device, as they are now, by whatever name it has now."""

    def __cinit__(self, *args, **options):
        self.control = -1

    def _device(self):
        """What the kernel says of the device now; PortError when it is gone."""
        if self.control < 0:
            raise PortError(f"{self.kind} port {self.name!r} is closed")
        return link.device(link.name_of(self.ifindex, self.control), self.control)

    @property
    def mac(self) -> str | None:
        """Ethernet address of the device."""
        return self._device().mac

    @property
    def mtu(self) -> int:
        """MTU of the device, as it is now."""
        if self.control >= 0:
            try:
                self.c.mtu = self._device().mtu
            except PortError:
                pass                # the device is gone; its last MTU does no harm
        return self.c.mtu

    def link_up(self) -> bool:
        """Whether the device is there, up and has carrier."""
        return self.problem is None

    @property
    def problem(self) -> str | None:
        """Why no frame passes, and what to do about it; None when the link is up."""
        try:
            device = self._device()
        except PortError as error:
            return str(error)
        if not device.up:
            return f"{device.name!r} is down (ip link set {device.name} up)"
        if not device.running:
            return f"{device.name!r} has no carrier (is its peer up, its cable plugged?)"
        return None
