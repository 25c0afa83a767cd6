"""Records as files of other people: every form that is read, every form that is written.

`read` tells the form of a file by its content and goes through it in constant
memory; `assemble` makes one record of what the lines of one image say; `write`
exports records, one file a format. See `bodies` for what each form of line may
hold, `lines` for what hostile input does.
"""

from trsllava.interchange.pieces import BadLine, Line, Piece, assemble
from trsllava.interchange.reading import read
from trsllava.interchange.writing import FORMATS, write

__all__ = ["BadLine", "FORMATS", "Line", "Piece", "assemble", "read", "write"]
