package engine

import "testing"

func TestCreateList(t *testing.T) {
	t.Parallel()
	testNodes(t, "create_list", "output", []nodeCase{
		{name: "order is kept", node: `list: [b, a, b]`, want: `["b","a","b"]`},
		{name: "empty", node: `list: []`, want: `[]`},
		{name: "references keep their types", node: `list: ["{{ v.a }}", "{{ v.b }}", "{{ v.c }}", "x{{ v.a }}"]`, given: `{"a": 12345678901234567890, "b": null, "c": [true]}`, want: `[12345678901234567890,null,[true],"x12345678901234567890"]`},
		{name: "literals keep their types", node: `list: [1, 1.50, true, null, {k: [v]}]`, want: `[1,1.50,true,null,{"k":["v"]}]`},
		{name: "unicode", node: `list: ["ä\u2028👩"]`, want: "[\"ä\u2028👩\"]"},
		{name: "list from elsewhere", node: `list: "{{ v.a }}"`, given: `{"a": [1, [2]]}`, want: `[1,[2]]`},
		{name: "list as text", node: `list: "{{ v.a }}"`, given: `{"a": "[1, null]"}`, want: `[1,null]`},
		{name: "null", node: `list: "{{ v.a }}"`, given: `{"a": null}`, want: `[]`},
		{name: "no list", node: `list: "{{ v.a }}"`, given: `{"a": "x, y"}`, err: `node n (create_list): input "list": "x, y" is not a list`},
	})
}

func TestCombineList(t *testing.T) {
	t.Parallel()
	testNodes(t, "combine_list", "output", []nodeCase{
		{name: "order is kept", node: `list: [["{{ v.a }}", b], [a]]`, given: `{"a": 1}`, want: `[1,"b","a"]`},
		{name: "none", node: `list: []`, want: `[]`},
		{name: "empty and null lists", node: `list: [[], "{{ v.a }}", [x]]`, given: `{"a": null}`, want: `["x"]`},
		{name: "one level only", node: `list: [[[1]], [[2], 3]]`, want: `[[1],[2],3]`},
		{name: "list as text", node: `list: ["{{ v.a }}", [y]]`, given: `{"a": "[\"x\"]"}`, want: `["x","y"]`},
		{name: "long numbers", node: `list: ["{{ v.a }}"]`, given: `{"a": [12345678901234567890, 1.10]}`, want: `[12345678901234567890,1.10]`},
		{name: "an element that is none", node: `list: [[x], "{{ v.a }}"]`, given: `{"a": "y"}`, err: `node n (combine_list): input "list": element 1: "y" is not a list`},
		{name: "no list at all", node: `list: "{{ v.a }}"`, given: `{"a": true}`, err: `node n (combine_list): input "list": "true" is not a list`},
	})
}

func TestFlattenList(t *testing.T) {
	t.Parallel()
	testNodes(t, "flatten_list", "flattened_list", []nodeCase{
		{name: "one level", node: `list_of_lists: [[1, [2]], [3]]`, want: `[1,[2],3]`},
		{name: "empty", node: `list_of_lists: []`, want: `[]`},
		{name: "inner empty", node: `list_of_lists: [[], []]`, want: `[]`},
		{name: "single items stay", node: `list_of_lists: "{{ v.a }}"`, given: `{"a": [1, ["x", null], {"k": [2]}, null]}`, want: `[1,"x",null,{"k":[2]},null]`},
		{name: "null", node: `list_of_lists: "{{ v.a }}"`, given: `{"a": null}`, want: `[]`},
		{name: "no list", node: `list_of_lists: "{{ v.a }}"`, given: `{"a": {"k": 1}}`, err: `node n (flatten_list): input "list_of_lists": "{\"k\":1}" is not a list`},
	})
}

func TestGetListItem(t *testing.T) {
	t.Parallel()
	const list = `list: [x, "{{ v.a }}", z], `
	testNodes(t, "get_list_item", "output", []nodeCase{
		{name: "first", node: list + `index: 0`, want: `"x"`},
		{name: "keeps its type", node: list + `index: 1`, given: `{"a": {"n": 12345678901234567890}}`, want: `{"n":12345678901234567890}`},
		{name: "null item", node: list + `index: 1`, given: `{"a": null}`, want: `null`},
		{name: "from the end", node: list + `index: -1`, want: `"z"`},
		{name: "first from the end", node: list + `index: -3`, want: `"x"`},
		{name: "index as text", node: list + `index: "{{ v.b }}"`, given: `{"b": "2"}`, want: `"z"`},
		{name: "behind the end", node: list + `index: 3`, err: `node n (get_list_item): input "index": 3 is outside of a list of 3`},
		{name: "before the start", node: list + `index: -4`, err: `node n (get_list_item): input "index": -4 is outside of a list of 3`},
		{name: "of nothing", node: `list: [], index: 0`, err: `node n (get_list_item): input "index": 0 is outside of a list of 0`},
		{name: "fraction", node: list + `index: "{{ v.b }}"`, given: `{"b": "0.5"}`, err: `node n (get_list_item): input "index": 0.5 is not a whole number`},
		{name: "no number", node: list + `index: "{{ v.b }}"`, given: `{"b": "first"}`, err: `node n (get_list_item): input "index": "first" is not a number`},
		{name: "huge", node: list + `index: "{{ v.b }}"`, given: `{"b": 12345678901234567890}`, err: `node n (get_list_item): input "index": 12345678901234567890 is too large`},
	})
}

func TestJoinListItem(t *testing.T) {
	t.Parallel()
	testNodes(t, "join_list_item", "joined_text", []nodeCase{
		{name: "nothing between is the default", node: `list: [a, b]`, want: `"ab"`},
		{name: "only between", node: `list: [a, b, c], join_characters: ", "`, want: `"a, b, c"`},
		{name: "newline wins", node: `list: [a, b], join_by_newline: true, join_characters: x`, want: `"a\nb"`},
		{name: "empty", node: `list: [], join_characters: x`, want: `""`},
		{name: "one", node: `list: [a], join_characters: x`, want: `"a"`},
		{name: "all kinds", node: `list: "{{ v.a }}", join_characters: "|"`, given: `{"a": [null, true, 12345678901234567890, "ä", [1], {}]}`, want: `"|true|12345678901234567890|ä|[1]|{}"`},
		{name: "switch as text", node: `list: [a, b], join_by_newline: "{{ v.a }}"`, given: `{"a": "True"}`, want: `"a\nb"`},
		{name: "bad switch", node: `list: [a, b], join_by_newline: "{{ v.a }}"`, given: `{"a": "yes"}`, err: `node n (join_list_item): input "join_by_newline": "yes" is not true or false`},
		{name: "no list", node: `list: "{{ v.a }}"`, given: `{"a": 5}`, err: `node n (join_list_item): input "list": "5" is not a list`},
	})
}

func TestListTrimmer(t *testing.T) {
	t.Parallel()
	const list = `list: [a, b, c], `
	testNodes(t, "list_trimmer", "output", []nodeCase{
		{name: "first items", node: list + `item_to_keep: 2`, want: `["a","b"]`},
		{name: "more than there are", node: list + `item_to_keep: 9`, want: `["a","b","c"]`},
		{name: "none", node: list + `item_to_keep: 0`, want: `[]`},
		{name: "fewer than none", node: list + `item_to_keep: -2`, want: `[]`},
		{name: "slice", node: list + `specify_section: true, start_index: 1, end_index: 2`, want: `["b"]`},
		{name: "slice to behind the end", node: list + `specify_section: true, start_index: 1, end_index: 9`, want: `["b","c"]`},
		{name: "slice from before the start", node: list + `specify_section: true, start_index: -5, end_index: 1`, want: `["a"]`},
		{name: "slice backwards", node: list + `specify_section: true, start_index: 2, end_index: 1`, want: `[]`},
		{name: "slice behind the end", node: list + `specify_section: true, start_index: 5, end_index: 9`, want: `[]`},
		{name: "of nothing", node: `list: "{{ v.a }}", item_to_keep: 1`, given: `{"a": null}`, want: `[]`},
		{name: "items keep their types", node: `list: "{{ v.a }}", item_to_keep: "{{ v.b }}"`, given: `{"a": [12345678901234567890, null, 3], "b": "2"}`, want: `[12345678901234567890,null]`},
		{name: "no number", node: list + `item_to_keep: "{{ v.a }}"`, given: `{"a": null}`, err: `node n (list_trimmer): input "item_to_keep": "" is not a number`},
		{name: "start is no number", node: list + `specify_section: true, start_index: "{{ v.a }}", end_index: 1`, given: `{"a": "x"}`, err: `node n (list_trimmer): input "start_index": "x" is not a number`},
	})
}
