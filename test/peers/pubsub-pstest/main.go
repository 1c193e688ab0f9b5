// Google's own test server of Pub/Sub, on the port of loopback that is given, until it is told to end. On the second port it is told what goes
// wrong: `POST /?code=8&every=3` has every third request of a kind answered with that code of gRPC, `POST /?code=0` ends that. Each answers how many
// were so far.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var operations = []string{"Publish", "Acknowledge", "ModifyAckDeadline"}

type faults struct {
	mutex  sync.Mutex
	code   codes.Code
	every  int
	failed int
}

func (f *faults) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if query.Has("code") {
		code, codeError := strconv.Atoi(query.Get("code"))
		every, everyError := 1, error(nil)
		if query.Has("every") {
			every, everyError = strconv.Atoi(query.Get("every"))
		}
		if codeError != nil || everyError != nil || every < 1 {
			http.Error(response, "code and every are numbers", http.StatusBadRequest)
			return
		}
		f.code, f.every, f.failed = codes.Code(code), every, 0
	}
	fmt.Fprint(response, f.failed)
}

// The requests of one operation.
type operation struct {
	faults *faults
	asked  int
}

func (o *operation) React(_ interface{}) (bool, interface{}, error) {
	o.faults.mutex.Lock()
	defer o.faults.mutex.Unlock()
	o.asked++
	if o.faults.code == codes.OK || o.asked%o.faults.every != 0 {
		return false, nil, nil
	}
	o.faults.failed++
	return true, nil, status.Error(o.faults.code, "by the test")
}

func port(given string) int {
	port, err := strconv.Atoi(given)
	if err != nil {
		log.Fatal(err)
	}
	return port
}

func main() {
	faults := &faults{every: 1}
	var reactors []pstest.ServerReactorOption
	for _, name := range operations {
		reactors = append(reactors, pstest.ServerReactorOption{FuncName: name, Reactor: &operation{faults: faults}})
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port(os.Args[2])))
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, faults)) }()
	server := pstest.NewServerWithPort(port(os.Args[1]), reactors...)
	defer server.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
