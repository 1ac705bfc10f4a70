"""Which kind of file this is, told from its first bytes, and what to do about the kinds that are not read here."""

from __future__ import annotations

import codecs

from ..errors import CaptureError

NO_PACKET = -1

# The link-layer headers that the frame reader knows, by their LINKTYPE number (https://www.tcpdump.org/linktypes.html).
SUPPORTED = {
    0: "null",
    1: "ethernet",
    12: "raw",
    14: "raw",
    101: "raw",
    108: "loop",
    113: "linux_sll",
    228: "ipv4",
    229: "ipv6",
    276: "linux_sll2",
}

# Names for what people really bring, so that the refusal speaks their language.
UNSUPPORTED = {
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    117: "PFLOG",
    119: "IEEE802_11_PRISM",
    122: "IP_OVER_FC",
    127: "IEEE802_11_RADIOTAP",
    149: "USER2, or PKTAP of macOS",
    163: "IEEE802_11_AVS",
    189: "USB_LINUX",
    192: "PPI",
    220: "USB_LINUX_MMAPPED",
    239: "NFLOG",
    242: "IPOIB",
    247: "INFINIBAND",
    253: "NETLINK",
    258: "PKTAP",
}

COMPRESSION = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
)

PCAP_MAGIC = frozenset(
    bytes.fromhex(text) for text in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1")
)
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")

CONVERT = "Convert it first: tshark -F pcap -r IN -w OUT (or: editcap -F pcap IN OUT), then give OUT."

# Other people's formats: first bytes, name, what to do.
FOREIGN = (
    (b"snoop\0\0\0", "a Solaris snoop capture", CONVERT),
    (b"iptrace 1.0", "an AIX iptrace capture", CONVERT),
    (b"iptrace 2.0", "an AIX iptrace capture", CONVERT),
    (b"\x54\x52\x00\x64\x00", "an HP-UX nettl capture", CONVERT),
    (b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x07\xd0\x00", "an HP-UX nettl capture", CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", CONVERT),
    (b"XCP\0", "a NetXray capture", CONVERT),
    (b"GMBU", "a Microsoft Network Monitor capture", CONVERT),
    (b"RTSS", "a Microsoft Network Monitor capture", CONVERT),
    (b"\x1c\x00\x01\xac", "an Ixia capture", CONVERT),
    (b"\xac\x01\x00\x1c", "an Ixia capture", CONVERT),
    (b"BZh", "compressed with bzip2", "Unpack it on the way: bzip2 -dc FILE | nlmdissect analyze -"),
    (b"\x1f\x9d", "compressed with compress (.Z)", "Unpack it on the way: zcat FILE | nlmdissect analyze -"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Unpack it on the way: lz4 -dc FILE | nlmdissect analyze -"),
    (b"PK\x03\x04", "a zip archive", "Unpack it first: unzip FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first: 7z x FILE"),
    (b"\x7fELF", "a program", "Give a file written by tcpdump -w, dumpcap or Wireshark."),
)


def link_name(link: int) -> str:
    """The name of a link type: "ethernet"; for one that is not read here with its number: "IEEE802_11 (105)"."""
    return SUPPORTED.get(link) or f"{UNSUPPORTED.get(link, 'unknown')} ({link})"


def compression_of(head: bytes) -> str:
    """ "gzip", "zstd", "xz" or "" from the first six bytes of a file."""
    for magic, name in COMPRESSION:
        if head.startswith(magic):
            return name
    # pzstd and others begin with a skippable frame (RFC 8878, 3.1.2).
    if len(head) >= 4 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18":
        return "zstd"
    return ""


def identify(path: str, head: bytes) -> str:
    """ "pcap" or "pcapng" from the first bytes of the (unpacked) file.

    Errors: CaptureError that names what it is instead, and what to do.
    """
    if head[:4] in PCAP_MAGIC:
        return "pcap"
    if head[:4] == PCAPNG_MAGIC:
        return "pcapng"
    if not head:
        raise CaptureError(
            f"{path}: is empty",
            "Nothing was captured, or the capture was not finished. tcpdump writes its buffer when it stops; -U writes"
            " packet by packet.",
        )
    for magic, what, hint in FOREIGN:
        if head.startswith(magic):
            raise CaptureError(f"{path}: is {what}, not pcap or pcapng", hint)
    if compression_of(head):
        raise CaptureError(f"{path}: is compressed twice", "Unpack it once, then give the result.")
    if head[:4] in (magic[: len(head)] for magic in (*PCAP_MAGIC, PCAPNG_MAGIC)):
        raise CaptureError(f"{path}: is cut after {len(head)} bytes, inside the file header", "Nothing can be read.")
    if _is_text(head):
        raise CaptureError(
            f"{path}: is text, not a capture",
            "Printed packets do not hold enough to analyse. Capture into a file: tcpdump -s 0 -w FILE",
        )
    raise CaptureError(
        f"{path}: is neither pcap nor pcapng (it starts with {head[:8].hex(' ')})",
        f"If Wireshark can open it: {CONVERT[0].lower()}{CONVERT[1:]}",
    )


def refuse_link(path: str, links: list[int]) -> CaptureError:
    """The error for a file in which no interface has a link type that is read here."""
    names = ", ".join(link_name(link) for link in links)
    return CaptureError(
        f"{path}: link type {names} is not supported",
        "Capture where the packets are plain Ethernet or IP: on the NFS client or server itself (tcpdump -i any works),"
        " or behind the access point.",
    )


def _is_text(head: bytes) -> bool:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(letter in "\t\n\r\f\x1b" or letter >= " " for letter in text)
