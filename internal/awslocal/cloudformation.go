package awslocal

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const stacksNamespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/"

// A Stack is what CloudFormation tells of a stack. Nothing is deployed by it: it says
// what is there by which name.
type Stack struct {
	Name      string
	Resources []StackResource
	Outputs   map[string]string

	Parameters map[string]string
	Status     string // empty: CREATE_COMPLETE
}

// A StackResource is one resource of a stack.
type StackResource struct {
	Type       string // such as AWS::SQS::Queue
	LogicalID  string // in the template
	PhysicalID string // name, URL or ARN, as CloudFormation has it for its type
}

// stacks are all stacks that were described.
type stacks struct {
	now func() time.Time

	mu     sync.Mutex
	byName map[string]describedStack
}

type describedStack struct {
	Stack

	made time.Time
}

// Describe lets CloudFormation tell of a stack, in the place of one of that name.
func (a *AWS) Describe(s Stack) {
	a.Told.stacks.mu.Lock()
	defer a.Told.stacks.mu.Unlock()
	if a.Told.stacks.byName == nil {
		a.Told.stacks.byName = map[string]describedStack{}
	}
	a.Told.stacks.byName[s.Name] = describedStack{s, a.now()}
}

// Described returns what CloudFormation tells of a stack; the zero Stack if it has none.
func (t *Told) Described(name string) Stack {
	t.stacks.mu.Lock()
	defer t.stacks.mu.Unlock()
	return t.stacks.byName[name].Stack
}

func (s *stacks) operations() map[string]queryOperation {
	return map[string]queryOperation{
		"DescribeStacks":     {[]string{"StackName", "NextToken"}, s.describe},
		"ListStackResources": {[]string{"StackName", "NextToken"}, s.listResources},
	}
}

// find returns the stack that a request names; every stack, if none.
func (s *stacks) find(r *http.Request) ([]describedStack, error) {
	if r.FormValue("NextToken") != "" {
		return nil, refuse("ValidationError", "NextToken is none that was given out: every answer is whole")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.FormValue("StackName")
	if name == "" {
		return slices.SortedFunc(maps.Values(s.byName), func(a, b describedStack) int { return cmp.Compare(a.Name, b.Name) }), nil
	}
	if id, ok := strings.CutPrefix(name, stackID("")); ok {
		name, _, _ = strings.Cut(id, "/")
	}
	found, ok := s.byName[name]
	if !ok {
		return nil, refuse("ValidationError", "Stack with id %s does not exist", r.FormValue("StackName"))
	}
	return []describedStack{found}, nil
}

func stackID(name string) string { return arn("cloudformation", "stack/"+name) }

type stackMember struct {
	ID      string        `xml:"StackId"`
	Name    string        `xml:"StackName"`
	Made    time.Time     `xml:"CreationTime"`
	Status  string        `xml:"StackStatus"`
	Outputs []stackOutput `xml:"Outputs>member"`

	Parameters []stackParameter `xml:"Parameters>member"`
}

type stackParameter struct {
	Key   string `xml:"ParameterKey"`
	Value string `xml:"ParameterValue"`
}

type stackOutput struct {
	Key   string `xml:"OutputKey"`
	Value string `xml:"OutputValue"`
}

type stackList struct {
	XMLName   xml.Name      `xml:"DescribeStacksResponse"`
	Namespace string        `xml:"xmlns,attr"`
	Stacks    []stackMember `xml:"DescribeStacksResult>Stacks>member"`
	RequestID string        `xml:"ResponseMetadata>RequestId"`
}

func (s *stacks) describe(w http.ResponseWriter, r *http.Request) (any, error) {
	found, err := s.find(r)
	if err != nil {
		return nil, err
	}
	answer := stackList{Namespace: stacksNamespace, RequestID: requestID(w)}
	for _, f := range found {
		member := stackMember{ID: stackID(f.Name) + "/00000000-0000-4000-8000-000000000000", Name: f.Name, Made: f.made.UTC(), Status: cmp.Or(f.Status, "CREATE_COMPLETE")}
		for _, key := range slices.Sorted(maps.Keys(f.Parameters)) {
			member.Parameters = append(member.Parameters, stackParameter{key, f.Parameters[key]})
		}
		for _, key := range slices.Sorted(maps.Keys(f.Outputs)) {
			member.Outputs = append(member.Outputs, stackOutput{key, f.Outputs[key]})
		}
		answer.Stacks = append(answer.Stacks, member)
	}
	return answer, nil
}

type resourceMember struct {
	LogicalID  string    `xml:"LogicalResourceId"`
	PhysicalID string    `xml:"PhysicalResourceId"`
	Type       string    `xml:"ResourceType"`
	Updated    time.Time `xml:"LastUpdatedTimestamp"`
	Status     string    `xml:"ResourceStatus"`
}

type resourceList struct {
	XMLName   xml.Name         `xml:"ListStackResourcesResponse"`
	Namespace string           `xml:"xmlns,attr"`
	Resources []resourceMember `xml:"ListStackResourcesResult>StackResourceSummaries>member"`
	RequestID string           `xml:"ResponseMetadata>RequestId"`
}

func (s *stacks) listResources(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.FormValue("StackName") == "" {
		return nil, refuse("ValidationError", "1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
	}
	found, err := s.find(r)
	if err != nil {
		return nil, err
	}
	answer := resourceList{Namespace: stacksNamespace, RequestID: requestID(w)}
	for _, resource := range found[0].Resources {
		answer.Resources = append(answer.Resources, resourceMember{resource.LogicalID, resource.PhysicalID, resource.Type, found[0].made.UTC(), "CREATE_COMPLETE"})
	}
	return answer, nil
}
