# A browser, driven through ChromeDriver (WebDriver, W3C Recommendation), with nothing but the standard library.
import json, os, re, shutil, subprocess, sys, tempfile, urllib.request

PATIENCE = 60  # seconds


class Driver:
    """ChromeDriver, and the browsers that it has opened; all are gone at the end of a `with`."""

    def __enter__(self):
        said = ""
        # It takes a port that is free for IPv6, and ends where somebody has that for IPv4.
        for _ in range(10):
            self.process = subprocess.Popen(
                ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in self.process.stdout:
                if found := re.search(r"started successfully on port (\d+)", line):
                    self.port = int(found[1])
                    self.folders, self.browsers = [], []
                    return self
                said += line
            self.process.wait()
            self.process.stdout.close()
        raise SystemExit(f"chromedriver does not start: {said}")

    def __exit__(self, *_):
        for browser in self.browsers:
            browser.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read().decode()}")

    def open(self, url, dark=False, insecure=False):
        folder = tempfile.mkdtemp(prefix="browser-")
        self.folders.append(folder)
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
            "--window-size=900,600", f"--user-data-dir={folder}",
        ]
        arguments += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
        options = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}, "acceptInsecureCerts": insecure,
                   "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        browser = Browser(self, f"/session/{session}")
        self.browsers.append(browser)
        # What is looked for is waited for.
        browser.post("/timeouts", {"implicit": PATIENCE * 1000})
        browser.post("/url", {"url": url})
        return browser


class Browser:
    def __init__(self, driver, path):
        self.driver, self.path = driver, path

    def post(self, path, body):
        return self.driver.ask("POST", self.path + path, body)

    def run(self, script):
        return self.post("/execute/sync", {"script": script, "args": []})

    def find(self, xpath):
        return next(iter(self.post("/element", {"using": "xpath", "value": xpath}).values()))

    def wait_for(self, text):
        """Until a line of the log has this in it."""
        self.find(f"//ol[@id='log']/li[contains(., '{text}')]")

    def say(self, text):
        field = self.find("//input[@id='text']")
        self.post(f"/element/{field}/value", {"text": text + "\ue007"})

    def complaints(self):
        """What the browser has against the page: errors, and what its policy has kept out."""
        return self.post("/se/log", {"type": "browser"})

    def resize(self, width, height):
        self.post("/window/rect", {"width": width, "height": height})

    def screenshot(self, file):
        import base64
        with open(file, "wb") as out:
            out.write(base64.b64decode(self.driver.ask("GET", self.path + "/screenshot")))

    def close(self):
        self.driver.ask("DELETE", self.path)
