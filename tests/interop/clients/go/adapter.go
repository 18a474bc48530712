// Package interop is the loop of an adapter in Go: scenario.py says what the commands are.
package interop

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Records are gathered by one goroutine and asked for by another.
type Records struct {
	mutex sync.Mutex
	lines []string
}

func (r *Records) Add(partition int32, offset int64, key []byte) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%d %d %s", partition, offset, key))
}

func (r *Records) Drain() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	drained := r.lines
	r.lines = nil
	return drained
}

// Gathered waits until there are `count` or 20 s are over; a moment longer, to see whether there are too many.
func (r *Records) Gathered(count int) []string {
	var lines []string
	for end := time.Now().Add(20 * time.Second); len(lines) < count && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		lines = append(lines, r.Drain()...)
	}
	time.Sleep(200 * time.Millisecond)
	return append(lines, r.Drain()...)
}

// Number of a word of a command, which scenario.py wrote.
func Number(word string) int64 {
	number, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}

// Sorted partitions, as words.
func Sorted(partitions []int32) []string {
	sort.Slice(partitions, func(a, b int) bool { return partitions[a] < partitions[b] })
	words := []string{}
	for _, partition := range partitions {
		words = append(words, strconv.Itoa(int(partition)))
	}
	return words
}

// Command takes its words and returns the lines of its answer.
type Command func(words []string) ([]string, error)

func Serve(commands map[string]Command) {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.Fields(in.Text())
		command, known := commands[words[0]]
		if !known {
			fmt.Println("unsupported")
			continue
		}
		lines, err := command(words[1:])
		if err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		for _, line := range lines {
			fmt.Println("=", line)
		}
		fmt.Println("ok")
	}
}
