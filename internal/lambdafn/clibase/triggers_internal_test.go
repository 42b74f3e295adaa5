package clibase

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
)

// Every field of a schedule that the SDK can read and write is kept, and nothing but the
// state changes. A field that a later SDK knows fails here until it is kept as well.
func TestRewritten_KeepsEveryField(t *testing.T) {
	t.Parallel()
	shown := scheduler.GetScheduleOutput{}
	fill(reflect.ValueOf(&shown).Elem())
	shown.State = types.ScheduleStateEnabled
	got := reflect.ValueOf(rewritten(&shown, types.ScheduleStateDisabled)).Elem()
	kept := 0
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		of := reflect.ValueOf(shown).FieldByName(name)
		switch {
		case !got.Type().Field(i).IsExported() || name == "ClientToken": // of a request, not of a schedule
			continue
		case name == "State":
			if got.Field(i).String() != "DISABLED" {
				t.Errorf("the state is %s", got.Field(i))
			}
			continue
		case of.IsZero() || !reflect.DeepEqual(of.Interface(), got.Field(i).Interface()):
			t.Errorf("%s is %v, and was %v", name, got.Field(i), of)
		}
		kept++
	}
	if kept < 11 {
		t.Errorf("only %d fields were compared", kept)
	}
	for i := range reflect.TypeFor[scheduler.GetScheduleOutput]().NumField() {
		f := reflect.TypeFor[scheduler.GetScheduleOutput]().Field(i)
		switch f.Name {
		case "Arn", "CreationDate", "LastModificationDate", "ResultMetadata": // AWS's own
			continue
		}
		if f.IsExported() && !got.FieldByName(f.Name).IsValid() {
			t.Errorf("%s can be read and not written", f.Name)
		}
	}
}

// fill gives every field that can be set a value other than its zero.
func fill(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // no other kind occurs in a schedule
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "ResultMetadata" {
				fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	}
}
