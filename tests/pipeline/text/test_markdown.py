from pipeline.text.markdown import parse_blocks


def test_a_text_that_ends_in_a_list_in_a_quotation_has_blocks():
    assert parse_blocks("> - <!-- \n> ")[0].type == "blockquote_open"


def test_tables_and_fences_are_blocks_and_inline_markup_is_left_alone():
    blocks = parse_blocks("# A *b*\n\n| a |\n|---|\n| b |\n\n```\nc\n```")
    outermost = [block.type for block in blocks if not block.level and block.nesting >= 0]
    assert outermost == ["heading_open", "table_open", "fence"]
    assert blocks[1].content == "A *b*"
