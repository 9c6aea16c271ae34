"""Text to syntax tree: JMESPath's own parser, with exact numbers in literals and with variables ($name).

These things differ: `!a.b` is `!(a.b)`, and a missing or superfluous comma is an error.
"""

import re
from collections.abc import Iterator
from typing import Any

from jmespath import exceptions
from jmespath.lexer import Lexer
from jmespath.parser import Parser

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.mapping.errors import ExpressionError

MAX_LENGTH = 4000
"""Characters of one expression."""

MAX_DEPTH = 60
"""Levels of one expression's tree: evaluation descends into it."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`""")

_NEEDS_QUOTES = re.compile(
    r"""
    (?<![\w$.])[^\W\d]\w*\.?-[\w.]*                          # E-Mail, Best.-Datum
    | (?<![\w$.])[^\W\d]\w*(?:\ +[^\W\d]\w*)+                # Lineitem sku
    | (?<![\w$.])[^\W\d]\w*(?:\.\w+)*\.(?!\s*[\w."\[{*])     # Bestellnr.
    | (?<![\w$])\w*[^\W\d\x00-\x7f]\w*                       # Straße
    """,
    re.VERBOSE,
)
"""A name that the language takes for several, or for none."""

Node = dict[str, Any]

_NOT = 8
"""How tightly `!` binds: less than a path, more than a comparison."""


def syntax_tree(text: str) -> Node:
    """The tree of an expression, as JMESPath's parser makes it. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
    try:
        tree: Node = _Parser().tree(text)
    except exceptions.EmptyExpressionError:
        raise ExpressionError("an empty expression") from None
    except exceptions.IncompleteExpressionError:
        raise ExpressionError("it ends too early", len(text)) from None
    except exceptions.LexerError as error:
        raise ExpressionError(f"{error.message}{_quotes_hint(text)}", error.lexer_position + 1) from None
    except exceptions.ParseError as error:
        early = str(error.token_type).lower() == "eof"
        message = f"{'it ends too early' if early else error.msg}{_quotes_hint(text)}"
        raise ExpressionError(message, error.lex_position + 1) from None
    except RecursionError:
        raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels") from None
    if _depth(tree) > MAX_DEPTH:
        raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels")
    return tree


def _quotes_hint(text: str) -> str:
    """What to add to an error if names of columns stand in an expression without the quotes that they need.

    >>> _quotes_hint("guest(Nr, E-Mail)")
    ': a name with a blank, a dot, a hyphen or a character beyond ASCII needs double quotes, as in "E-Mail"'
    """
    name = _NEEDS_QUOTES.search(_QUOTED.sub("", text))
    if name is None:
        return ""
    return (
        ": a name with a blank, a dot, a hyphen or a character beyond ASCII needs double quotes, as in"
        f' "{name.group().strip()}"'
    )


class _Lexer(Lexer):  # type: ignore[misc]
    START_IDENTIFIER = Lexer.START_IDENTIFIER | {"$"}

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        text = self._consume_until("`").replace("\\`", "`")
        try:
            value = jsonio.loads(text)
        except ValueError:
            raise exceptions.LexerError(
                start, text, f"`{text}` is not JSON: write a text as 'text' or `\"text\"`"
            ) from None
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


class _Parser(Parser):  # type: ignore[misc]
    def tree(self, text: str) -> Any:
        self._tokens = list(_Lexer().tokenize(text))
        self._index = 0
        tree = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise exceptions.ParseError(token["start"], token["value"], token["type"], f"unexpected {token['value']}")
        return tree

    def _token_nud_not(self, token: dict[str, Any]) -> Node:
        # JMESPath's own parser reads !a.b as (!a).b, which is always null: nobody means that
        return {"type": "not_expression", "children": [self._expression(_NOT)]}

    def _token_led_lparen(self, left: Node) -> Node:
        # JMESPath's own parser takes foo(a b) and foo(a,) for calls
        if left["type"] != "field":
            node: Node = super()._token_led_lparen(left)
            return node
        arguments: list[Node] = []
        while self._current_token() != "rparen":
            if arguments:
                self._match("comma")
            arguments.append(self._expression())
        self._match("rparen")
        return {"type": "function_expression", "children": arguments, "value": left["value"]}

    def _parse_multi_select_hash(self) -> Node:
        # JMESPath's own parser takes {x: a y: b} for an object
        pairs: list[Node] = []
        while not pairs or self._current_token() != "rbrace":
            if pairs:
                self._match("comma")
            name = self._lookahead_token(0)["value"]
            self._match_multiple_tokens(["quoted_identifier", "unquoted_identifier"])
            self._match("colon")
            pairs.append({"type": "key_val_pair", "children": [self._expression()], "value": name})
        self._match("rbrace")
        return {"type": "multi_select_dict", "children": pairs}

    def _parse_slice_expression(self) -> Node:
        # JMESPath's own parser takes the second of two numbers
        kinds = [token["type"] for token in self._tokens[self._index :]]
        for place in range(kinds.index("rbracket") if "rbracket" in kinds else 0):
            if kinds[place : place + 2] == ["number", "number"]:
                token = self._lookahead_token(place + 1)
                raise exceptions.ParseError(token["start"], token["value"], "number", "expected : or ]")
        slice_of: Node = super()._parse_slice_expression()
        return slice_of

    def _token_nud_number(self, token: dict[str, Any]) -> Node:
        number = token["value"]
        why = f"in an expression, write a number in backticks, such as `{number}`, and a text as 'text'"
        raise exceptions.ParseError(token["start"], number, token["type"], why)

    def _token_nud_unquoted_identifier(self, token: dict[str, Any]) -> Node:
        name = token["value"]
        if name.startswith("$"):
            return {"type": "variable", "value": name[1:], "children": []}
        node: Node = super()._token_nud_unquoted_identifier(token)
        return node


def children(node: Node) -> Iterator[Node]:
    """The nodes right below one: the bounds of a slice are none."""
    return (child for child in node.get("children", ()) if isinstance(child, dict))


def _depth(tree: Node) -> int:
    level, depth = [tree], 0
    while level:
        depth += 1
        level = [child for node in level for child in children(node)]
    return depth
