package main

import (
	"fmt"
	"strings"

	"hikyaku/internal/export"
)

// spellings are the parts of logical names that are not the name with a capital.
// They are for ever: another name would make another resource.
var spellings = map[string]string{"supersaas": "SuperSaaS", "assisttencho": "AssistTencho"}

// logical is how a dataset stands in the name of a resource.
func logical(d export.Dataset) string {
	var name string
	for _, part := range []string{d.Provider, d.Name} {
		if spelled, found := spellings[part]; found {
			name += spelled
			continue
		}
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return name
}

const table = `  %[1]sTable:
    Type: AWS::Glue::Table
    Properties:
      CatalogId: !Ref AWS::AccountId
      DatabaseName: !Ref Database
      TableInput:
        Name: %[2]s_%[3]s
        TableType: EXTERNAL_TABLE
        Parameters:
          projection.enabled: "true"
          projection.dt.type: date
          projection.dt.format: yyyy-MM-dd
          projection.dt.range: 2026-01-01,NOW+1DAYS
          storage.location.template: !Sub "s3://${Bucket}/${Prefix}/athena/%[2]s/%[3]s/dt=${!dt}"
        PartitionKeys: [{Name: dt, Type: string}]
        StorageDescriptor:
          Columns: [{Name: line, Type: string}]
          Location: !Sub "s3://${Bucket}/${Prefix}/athena/%[2]s/%[3]s/"
          InputFormat: org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat
          OutputFormat: org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat
          SerdeInfo: {SerializationLibrary: org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe}
`

// tables are one Glue table for each dataset.
func tables() string {
	var b strings.Builder
	for _, d := range export.Datasets() {
		fmt.Fprintf(&b, table, logical(d), d.Provider, d.Name)
	}
	return b.String()
}
