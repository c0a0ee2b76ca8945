package main

import (
	"bufio"
	"fmt"
	"net"
)

// A chat as the language's book has it: a broadcaster that owns the list of clients, a channel a client.

type client chan<- string

type said struct {
	line string
	by   client
}

var (
	entering = make(chan client)
	leaving  = make(chan client)
	messages = make(chan said)
)

func broadcaster() {
	clients := make(map[client]bool)
	for {
		select {
		case message := <-messages:
			for client := range clients {
				if client != message.by {
					client <- message.line
				}
			}
		case client := <-entering:
			clients[client] = true
		case client := <-leaving:
			delete(clients, client)
			close(client)
		}
	}
}

func chat(conn net.Conn) {
	channel := make(chan string)
	go func() {
		for line := range channel {
			fmt.Fprintln(conn, line)
		}
	}()
	entering <- channel
	channel <- "welcome"
	input := bufio.NewScanner(conn)
	for input.Scan() {
		messages <- said{input.Text(), channel}
	}
	leaving <- channel
	conn.Close()
}
