package otstest

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// message is one of the vendor's, which are of the older sort.
type message = protoadapt.MessageV1

func marshal(m message) ([]byte, error) { return proto.Marshal(protoadapt.MessageV2Of(m)) }

func unmarshal(text []byte, m message) error {
	return proto.Unmarshal(text, protoadapt.MessageV2Of(m))
}
