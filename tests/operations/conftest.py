"""The vendor's document, where it is available."""

from pathlib import Path

import pytest

from .document import Document

DOCUMENT = Path(__file__).parents[2].parent / "shared" / "reference" / "talonone-integration-openapi.yaml"


@pytest.fixture(scope="session")
def document_if_there() -> Document | None:
    if not DOCUMENT.exists():
        return None
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return Document(yaml.load(DOCUMENT.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@pytest.fixture(scope="session")
def document(document_if_there: Document | None) -> Document:
    if document_if_there is None:
        pytest.skip(f"the vendor's document is not there: {DOCUMENT}")
    return document_if_there
