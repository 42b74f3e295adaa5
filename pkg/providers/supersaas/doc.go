// Package supersaas calls SuperSaaS, the booking service.
package supersaas
