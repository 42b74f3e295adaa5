package supersaas

import "hikyaku/pkg/jsonscan"

// The names of the forms that a list of appointments comes in (official
// clients, map_slots_or_bookings).
const (
	ShapeBookings = "bookings" // {"bookings":[{...}]}
	ShapeSlots    = "slots"    // {"slots":[{...}]}, of a capacity schedule
	ShapeArray    = "[]"       // [{...}]
)

var (
	// usersShape is an array (official clients; observed).
	usersShape        = jsonscan.Shape{Name: ShapeArray, ID: []string{"id"}}
	appointmentShapes = []jsonscan.Shape{
		{Name: ShapeBookings, Path: []string{"bookings"}, ID: []string{"id"}},
		{Name: ShapeSlots, Path: []string{"slots"}, ID: []string{"id"}},
		{Name: ShapeArray, ID: []string{"id"}},
	}
	// hookShapes are an array whose objects name their URL as the answer or
	// as the request does (official integrations).
	hookShapes  = []jsonscan.Shape{{ID: []string{"url"}}, {ID: []string{"target_url"}}}
	fieldsShape = jsonscan.Shape{ID: []string{"name"}} // an array (official clients)
	// schedulesShape is an array of objects (official clients), or the tuples
	// of which the documents speak, which readSchedules tells apart.
	schedulesShape = jsonscan.Shape{ID: []string{"id"}}
)
