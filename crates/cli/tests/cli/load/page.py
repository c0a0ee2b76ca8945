# The page of one server, and that of two.
one, two = (f"file://{file}" for file in sys.argv[1:3])
pictures = sys.argv[3:]

PAPER = "return getComputedStyle(document.body).backgroundColor"
# Lines that were drawn, and how long they are.
DRAWN = "return [...document.querySelectorAll('svg[role=img] .line')].map(line => line.getTotalLength())"
# What stands outside of its drawing, which would be cut.
CUT = """
return [...document.querySelectorAll('svg[role=img]')].flatMap(svg => {
    const whole = svg.getBoundingClientRect()
    return [...svg.querySelectorAll('text, path')].filter(one => {
        const box = one.getBoundingClientRect()
        return box.left < whole.left - 1 || box.right > whole.right + 1 || box.top < whole.top - 1 || box.bottom > whole.bottom + 1
    }).map(one => one.outerHTML)
})
"""
WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"

with Driver() as driver:
    for dark in False, True:
        # A rate, three latencies, one distribution, of each.
        for url, lines in (one, 5), (two, 10):
            page = driver.open(url, dark=dark)
            assert page.complaints() == [], page.complaints()
            assert page.run("return document.title").startswith("Load on tcp://127.0.0.1:"), page.run("return document.title")
            assert page.run("return document.scripts.length") == 0
            paper = page.run(PAPER)
            assert (paper == "rgb(255, 255, 255)") != dark, paper
            drawn = page.run(DRAWN)
            assert len(drawn) == lines and all(length > 100 for length in drawn), drawn
            assert page.run(CUT) == [], page.run(CUT)
            for width in 1000, 500:
                page.resize(width, 900)
                assert page.run(WIDE) == 0, (url, width)
            if url == one:
                page.find("//p[contains(., '<script>document.title')]")
                page.find("//p[@class='missed'][contains(., 'max>0')]")
            elif pictures:
                page.resize(1000, 2130)
                page.screenshot(pictures.pop(0))
            assert page.complaints() == [], page.complaints()
    print("ok")
