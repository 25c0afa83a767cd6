"""The JSON schema of a record as a model writes it."""

from typing import Any

from trsllava.records import FIELDS, VARIANTS

SCHEMA_VERSION = 1
# With an upper limit for every text even a weak model closes its record: at the limit the only
# character that the grammar still allows is the closing quote.
LONGEST = {"one_sentence": 300, "feature": 600, "caption": 1200}


def record_schema() -> dict[str, Any]:
    """Return the schema: an object with five variants of three texts each.

    It holds no ``$ref``, which weak servers do not resolve.
    """
    variant = {
        "type": "object",
        "properties": {
            name: {"type": "string", "minLength": 1, "maxLength": LONGEST[name]} for name in FIELDS
        },
        "required": list(FIELDS),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "variants": {
                "type": "array",
                "items": variant,
                "minItems": VARIANTS,
                "maxItems": VARIANTS,
            }
        },
        "required": ["variants"],
        "additionalProperties": False,
    }
