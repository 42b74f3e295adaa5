package call

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/url"
)

// A Body is a request's content with its type. It is kept in memory so that a
// retry sends the same bytes.
type Body struct {
	ContentType string
	Bytes       []byte
}

// JSON encodes v, leaving < > & and Japanese as they are.
func JSON(v any) (Body, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Body{}, err
	}
	return Body{ContentType: "application/json", Bytes: bytes.TrimRight(b.Bytes(), "\n")}, nil
}

// Form encodes values as application/x-www-form-urlencoded.
func Form(values url.Values) Body {
	return Body{ContentType: "application/x-www-form-urlencoded", Bytes: []byte(values.Encode())}
}

// A Field is one name and value of a multipart body, whose order is kept.
type Field struct{ Name, Value string }

// Multipart encodes fields as multipart/form-data in UTF-8.
func Multipart(fields []Field) (Body, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f.Name, f.Value); err != nil {
			return Body{}, err
		}
	}
	if err := w.Close(); err != nil {
		return Body{}, err
	}
	return Body{ContentType: w.FormDataContentType(), Bytes: b.Bytes()}, nil
}
