package localstack

import (
	"hikyaku/internal/awslocal"
	"hikyaku/internal/doctor"
)

// watched are the resources by which people watch a stack: one alarm, a topic with
// somebody who is told, and the state machines, which nothing runs here.
func (s *Stack) watched() (resources []awslocal.StackResource, topic string) {
	const alarm = Name + "-DeadLettersAlarm"
	topic = s.AWS.Told.SetTopic(Name+"-PeopleTopic", awslocal.Subscription{Protocol: "email", Endpoint: "ops@shop.example"})
	s.AWS.Told.PutAlarm(awslocal.Alarm{Name: alarm, Description: "High: messages were given up; see runbook, DeadLettersAlarm", Actions: []string{topic}})
	return []awslocal.StackResource{
		{Type: "AWS::CloudWatch::Alarm", LogicalID: "DeadLettersAlarm", PhysicalID: alarm},
		{Type: "AWS::SNS::Topic", LogicalID: "PeopleTopic", PhysicalID: topic},
		{Type: "AWS::StepFunctions::StateMachine", LogicalID: ReconcileLoop, PhysicalID: s.AWS.Told.SetExecutions(ReconcileLoop)},
		{Type: "AWS::StepFunctions::StateMachine", LogicalID: ExportLoop, PhysicalID: s.AWS.Told.SetExecutions(ExportLoop)},
	}, topic
}

// parameters are those of the template, with the values that the functions have.
func (s *Stack) parameters() map[string]string {
	values := map[string]string{}
	for _, p := range doctor.Parameters() {
		values[p.Name] = ""
		for _, function := range Functions() {
			if value, has := s.Vars(function)[p.Variable]; has {
				values[p.Name] = value
			}
		}
	}
	return values
}
