// The servers that are written in Go, by name: a goroutine a connection, nothing but the standard library.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: peer echo|capped|framed|chat|udp | tls CERTIFICATE")
	}
	switch os.Args[1] {
	case "echo":
		serve(listen(), echo)
	case "capped":
		serve(listen(), atMost(100, echo))
	case "framed":
		serve(listen(), framed)
	case "chat":
		go broadcaster()
		serve(listen(), chat)
	case "tls":
		serve(tls.NewListener(listen(), config(os.Args[2])), echo)
	case "udp":
		udp()
	default:
		log.Fatalf("no such server: %s", os.Args[1])
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	return listener
}

// TCP_NODELAY is the default of this language.
func serve(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		go handle(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 4096)
	for {
		received, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:received]); err != nil {
			return
		}
	}
}

// Closes whoever comes while so many are there.
func atMost(most int, handle func(net.Conn)) func(net.Conn) {
	places := make(chan struct{}, most)
	return func(conn net.Conn) {
		select {
		case places <- struct{}{}:
			handle(conn)
			<-places
		default:
			conn.Close()
		}
	}
}

// Each message has a length of 4 bytes before it; replies are flushed when nothing more has come in.
func framed(conn net.Conn) {
	defer conn.Close()
	reader, writer := bufio.NewReader(conn), bufio.NewWriter(conn)
	var length [4]byte
	var message []byte
	for {
		if _, err := io.ReadFull(reader, length[:]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(length[:]))
		if cap(message) < size {
			message = make([]byte, size)
		}
		message = message[:size]
		if _, err := io.ReadFull(reader, message); err != nil {
			return
		}
		writer.Write(length[:])
		writer.Write(message)
		if reader.Buffered() == 0 {
			if writer.Flush() != nil {
				return
			}
		}
	}
}

func udp() {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.SetReadBuffer(212992); err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", conn.LocalAddr())
	buffer := make([]byte, 65535)
	for {
		received, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := conn.WriteToUDPAddrPort(buffer[:received], from); err != nil {
			log.Print(err)
		}
	}
}

// The certificate and its key are in one file.
func config(file string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}
