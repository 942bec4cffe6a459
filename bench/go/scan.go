package main

import "bytes"

// scan walks a JSON document and tells of its objects: '{' and '}' as they open and close, 's' for each member that is
// a string, as it stands between its quotes. It checks nothing and allocates nothing: most of a call is one long string.
func scan(data []byte, each func(kind byte, name, value []byte)) {
	var name []byte
	named := false
	for i := 0; i < len(data); {
		switch data[i] {
		case '{', '}':
			each(data[i], nil, nil)
			named = false
		case ',', '[':
			named = false
		case '"':
			end := i + 1 + endOfString(data[i+1:])
			text := data[i+1 : end]
			i = end
			if named {
				each('s', name, text)
				named = false
			} else {
				name = text
			}
		case ':':
			named = true
		}
		i++
	}
}

// endOfString is the index of the first quote that no backslash escapes; the length if there is none.
func endOfString(data []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '"')
		if i < 0 {
			return len(data)
		}
		at := from + i
		slashes := 0
		for at-slashes > 0 && data[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		from = at + 1
	}
}
