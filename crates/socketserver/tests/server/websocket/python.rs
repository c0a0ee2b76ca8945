use super::{echo, on_each_model};
use socketserver::{Channel, Failure, MessageHandler, Running};
use socketserver_testkit::Python;

const IMPORTS: &str = "
import asyncio, sys, websockets
from websockets.exceptions import ConnectionClosed
async def closed(ws):
    try:
        await ws.recv()
    except ConnectionClosed:
        return ws.close_code
    raise AssertionError('a message came')
";

/// Runs `async def main(uri)`.
fn play(server: &Running, program: &str) -> Option<String> {
    let python = Python::with("websockets", "python3-websockets")?;
    let program = format!("{IMPORTS}\n{program}\nasyncio.run(asyncio.wait_for(main(sys.argv[1]), 30))");
    Some(python.program(&program, &[&server.handle().endpoints()[0].to_string()]))
}

#[test]
fn a_python_client_is_echoed() {
    on_each_model!(echo.unframed().max_message(2_000_000), |server: Running| {
        play(
            &server,
            "
async def main(uri):
    async with websockets.connect(uri, max_size=None) as ws:
        for message in ['hello', '', '你好', b'bytes', b'', bytes(range(256)) * 400, 'x' * 2_000_000]:
            await ws.send(message)
            assert await ws.recv() == message
        # In fragments, text that is cut in the middle of a character among them.
        await ws.send(['你', '好', '', '!'])
        assert await ws.recv() == '你好!'
        await ws.send([b'a' * 70_000, b'', b'b'])
        assert await ws.recv() == b'a' * 70_000 + b'b'
        await asyncio.wait_for(await ws.ping(b'there?'), 10)
        for n in range(500):
            await ws.send(str(n))
        for n in range(500):
            assert await ws.recv() == str(n)
    assert ws.close_code == 1000
",
        );
        assert_eq!(server.stop().unwrap().totals.failed, 0);
    });
}

#[test]
fn close_codes_go_both_ways() {
    let handler = |message: &[u8], c: &mut Channel| match message {
        b"end" => {
            c.send(b"bye")?;
            c.end();
            Ok(())
        }
        b"fail" => Err(Failure::from("as it was told")),
        b"panic" => panic!("as it was told"),
        _ => Ok(c.send(message)?),
    };
    on_each_model!(handler.unframed().max_message(1000), |server: Running| {
        let printed = play(
            &server,
            "
async def main(uri):
    for code in [1000, 1001, 3000, 4999]:
        ws = await websockets.connect(uri)
        await ws.close(code, 'because')
        assert ws.close_code == code, ws.close_code
    for said, code in [('fail', 1011), ('panic', 1011), ('x' * 1001, 1009), (['x' * 999, 'yy'], 1009)]:
        ws = await websockets.connect(uri)
        await ws.send(said)
        assert await closed(ws) == code, (said, ws.close_code)
    ws = await websockets.connect(uri)
    await ws.send('end')
    assert await ws.recv() == 'bye'
    assert await closed(ws) == 1000
    print('done')
",
        );
        assert!(printed.is_none_or(|printed| printed == "done\n"));
        server.stop().unwrap();
    });
}

#[test]
fn a_drain_says_1001() {
    let stop = |message: &[u8], c: &mut Channel| {
        c.server().shutdown();
        Ok(c.send(message)?)
    };
    on_each_model!(stop, |server: Running| {
        play(
            &server,
            "
async def main(uri):
    ws = await websockets.connect(uri)
    await ws.send('stop')
    assert await ws.recv() == 'stop'
    assert await closed(ws) == 1001, ws.close_code
",
        );
        let report = server.stop().unwrap();
        assert!(report.cut.is_empty(), "{report:?}");
    });
}
