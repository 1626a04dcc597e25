// Package judges keeps AWS's sample events among the modules of go.mod: the tests read their files.
package judges

import _ "github.com/aws/aws-lambda-go/events"
