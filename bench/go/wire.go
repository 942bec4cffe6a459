package main

import "encoding/binary"

// Reader takes the Kafka protocol's primitive types off a request (Kafka protocol guide). Past the end it is `short`,
// and everything is zero.
type Reader struct {
	data  []byte
	short bool
}

func (r *Reader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.short, r.data = true, nil
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

func (r *Reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *Reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// text is a NULLABLE_STRING; null is empty.
func (r *Reader) text() string {
	n := int(r.int16())
	if n < 0 {
		return ""
	}
	return string(r.take(n))
}

// bytes are NULLABLE_BYTES; null is empty.
func (r *Reader) bytes() []byte {
	n := int(r.int32())
	if n < 0 {
		return nil
	}
	return r.take(n)
}

// Writer appends the protocol's primitive types.
type Writer struct{ data []byte }

func (w *Writer) int8(v int8)   { w.data = append(w.data, byte(v)) }
func (w *Writer) int16(v int16) { w.data = binary.BigEndian.AppendUint16(w.data, uint16(v)) }
func (w *Writer) int32(v int32) { w.data = binary.BigEndian.AppendUint32(w.data, uint32(v)) }
func (w *Writer) int64(v int64) { w.data = binary.BigEndian.AppendUint64(w.data, uint64(v)) }

func (w *Writer) text(s string) {
	w.int16(int16(len(s)))
	w.data = append(w.data, s...)
}
