// Package yappli calls the Yappli CRM Open API.
package yappli
