// Package bench measures authwright.
package bench
