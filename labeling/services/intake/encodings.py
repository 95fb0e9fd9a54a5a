"""Letters out of bytes that do not say how they are written: texts and tables."""

from contextlib import suppress


class UnreadableError(ValueError):
    """Bytes that are neither UTF-8 nor Windows-1252; says where the first of them stands."""

    def __init__(self, byte: int, line: int) -> None:
        super().__init__(f"byte 0x{byte:02X} in line {line}")


IS_WORKBOOK = (
    "This is a workbook of a spreadsheet program, which is not read. Save its sheet as “CSV UTF-8” "
    "and import that."
)


def is_workbook(content: bytes) -> bool:
    """Tell whether these are the bytes of an XLSX, ODS or XLS file.

    >>> is_workbook(b"PK\x03\x04 ... xl/workbook.xml ..."), is_workbook(b"name;label")
    (True, False)
    """
    if content.startswith(b"PK\x03\x04"):
        return b"xl/workbook" in content or b"opendocument.spreadsheet" in content[:200]
    return content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def decoded(content: bytes) -> tuple[str, bool]:
    """Return the text, and whether it was read as Windows-1252 for want of better.

    Refused is what Windows-1252 has no letter for, a zero byte (UTF-16 without its mark), and
    text most of whose letters are UTF-8: some of its bytes are damaged, all would be misread.

    >>> decoded("Grüße".encode("windows-1252")), decoded("Grüße".encode("utf-16"))
    (('Grüße', True), ('Grüße', False))
    """
    # UTF-16 is what Excel and Notepad call "Unicode".
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    with suppress(UnicodeDecodeError):
        return content.decode(encoding), False
    if encoding == "utf-8-sig" and b"\x00" not in content and not _is_damaged_utf8(content):
        encoding = "windows-1252"
    try:
        return content.decode(encoding), True
    except UnicodeDecodeError as error:
        read = error.object  # without the mark that says UTF-8
        line = read.count(b"\n", 0, error.start) + 1
        raise UnreadableError(read[error.start], line) from error


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether more letters beyond ASCII are UTF-8 than are not."""
    text = content.decode("utf-8", "replace")
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return 2 * text.count("\ufffd") < beyond
