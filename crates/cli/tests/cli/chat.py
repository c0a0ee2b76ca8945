# Two browsers and a terminal in one room.
import socket

host, port = sys.argv[1].removeprefix("tcp://").rsplit(":", 1)
page = sys.argv[2]
pictures = sys.argv[3:]

terminal = socket.create_connection((host, int(port)), timeout=PATIENCE)
lines = terminal.makefile("r", encoding="utf-8", newline="\n")


def heard(text):
    for line in lines:
        if text in line:
            return line.rstrip("\n")
    raise SystemExit(f"the connection ended before {text!r}")


with Driver() as driver:
    anna = driver.open(page)
    anna.wait_for("welcome. You are guest-")
    anna.find("//p[@id='state'][.='connected']")
    terminal.sendall(b"/name boris\n")
    anna.wait_for("is now boris")
    anna.say("/name anna")
    anna.wait_for("is now anna")
    anna.say("hello from a browser")
    assert heard("hello from") == "<anna> hello from a browser"
    terminal.sendall("hello from a terminal, 你好\n".encode())
    anna.wait_for("boris: hello from a terminal, 你好")

    clara = driver.open(page, dark=True)
    clara.wait_for("welcome. You are guest-")
    clara.say("/name clara")
    anna.wait_for("is now clara")
    clara.say("/me waves")
    assert heard("waves") == "* clara waves"
    anna.wait_for("clara waves")
    clara.say("and I from another one")
    anna.wait_for("clara: and I from another one")

    # Text is text.
    terminal.sendall(b"<img src=x onerror=\"document.title='had'\"><script>document.title='had'</script>\n")
    for browser in (anna, clara):
        browser.wait_for("boris: <img src=x")
        assert browser.run("return document.images.length + document.querySelectorAll('li script').length") == 0
        assert browser.run("return document.title") == "chat"
        # Nor can a script that got in anyhow do anything to the page.
        blocked = browser.run("try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (e) { return e.name }")
        assert blocked == "TypeError", blocked
    terminal.sendall("one\rtwo \x1b[31m \u202ereversed\n".encode())
    anna.wait_for("one\\rtwo \\u{1b}[31m \\u{202e}reversed")
    for browser, picture in zip((anna, clara), pictures):
        browser.screenshot(picture)

    clara.say("/quit")
    assert heard("clara has left") == "-- clara has left"
    clara.find("//p[@id='state'][contains(., 'is over')]")
    print("ok")
