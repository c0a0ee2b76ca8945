# A browser on a page of https, and a terminal over TLS, in one room.
address, page, fingerprint, command = sys.argv[1:5]
terminal = subprocess.Popen(
    [command, "connect", address, "--insecure-fingerprint", fingerprint],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1)


def heard(text):
    for line in terminal.stdout:
        if text in line:
            return line.rstrip("\n")
    raise SystemExit(f"the connection ended before {text!r}")


with Driver() as driver:
    assert heard("welcome")
    # Its certificate is nobody's that a browser knows.
    anna = driver.open(page, insecure=True)
    anna.wait_for("welcome. You are guest-2")
    anna.find("//p[@id='state'][.='connected']")
    assert anna.run("return location.protocol + socket.url") .startswith("https:wss://localhost:"), anna.run("return socket.url")
    anna.say("hello from https, 你好")
    assert heard("hello from") == "<guest-2> hello from https, 你好"
    terminal.stdin.write("hello from a terminal\n")
    anna.wait_for("guest-1: hello from a terminal")
    anna.say("/quit")
    assert heard("has left") == "-- guest-2 has left"
    anna.find("//p[@id='state'][contains(., 'is over')]")
    terminal.stdin.close()
    assert terminal.wait(PATIENCE) == 0
    print("ok")
