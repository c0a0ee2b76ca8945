//! `serve talk`: the operator at this terminal talks to each peer.

mod arrivals;
mod book;
mod chunks;
mod conversation;
mod keys;
mod line;
mod operator;
mod screen;
mod terminal;
mod typed;

use crate::args::{Log, Serve};
use crate::model::Model;
use crate::values::Limit;
use crate::{complain, log, serve};
use arrivals::Arrivals;
use book::Book;
use chunks::Chunks;
use conversation::{Conversation, Waiting};
use operator::Operator;
use screen::{Screen, Style};
use socketserver::{AsyncMessageHandler, Failure, Framed, MessageHandler, Overflow, Server, Tasks, Threads};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use terminal::{Mode, Terminal};

/// How many peers there may be unless told otherwise: those that one person can talk to.
const PEERS: usize = 100;
/// What the last words may take where the end is to be at once.
const MOMENT: Duration = Duration::from_millis(100);
/// How long a peer that sends packets may be silent unless told otherwise: nothing else tells that it has left.
const SILENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(mut args: Serve) -> Result<ExitCode, Failure> {
    let style = if args.raw { Style::Raw } else { Style::Labelled };
    if args.model.is_forks() {
        Err(
            "`talk` does not run on `--model forks`: one operator talks to all peers, and a child knows of one alone; \
             `tasks`, `threads` and `serial` do",
        )?;
    }
    if style == Style::Raw && io::stdout().is_terminal() {
        Err("`--raw` is for pipes and files alone: what peers send could command this terminal")?;
    }
    let peers = args.max_conns.get_or_insert(Limit(Some(PEERS))).0;
    let silence = args.idle.map_or(Some(SILENCE), |idle| idle.0);
    // People think, and have lunch.
    args.idle.get_or_insert(Limit(None));
    let (log, model, spin, drain) = (args.log, args.model, args.spin.0, args.drain);
    let mut server = serve::set_up(args, Arrivals::new(log))?;
    log.all_listening(&server);
    let stage = Stage::set(&server, log, style)?;
    let conversation = Conversation { book: stage.book.clone(), screen: stage.screen.clone(), log };
    let result = match model {
        // Of what one person reads and types one shard has the least part.
        Model::Tasks(shards) => {
            let framed = Waiting(conversation).framed(Chunks);
            server.serve(Tasks::new(shards.unwrap_or(1)).spin(spin), terms(framed, peers, silence))
        }
        Model::Threads(max) => server.serve(Threads::new(max), terms(conversation.framed(Chunks), peers, silence)),
        // One at a time, on a thread that can be left behind where it waits for whoever does not read.
        Model::Serial | Model::Forks(_) => {
            server.serve(Threads::new(1), terms(conversation.framed(Chunks), peers, silence))
        }
    };
    let is_hurried = result.as_ref().is_ok_and(|report| report.hurried.is_some());
    let shown = stage.clear(if is_hurried { MOMENT } else { drain.max(10 * MOMENT) });
    let status = serve::conclude(log, result);
    if let Err(error) = shown
        && !is_hurried
    {
        complain(format_args!("standard output: {error}"));
        return Ok(ExitCode::from(1));
    }
    Ok(status)
}

fn terms<H>(framed: Framed<H, Chunks>, peers: Option<usize>, silence: Option<Duration>) -> Framed<H, Chunks> {
    let framed = framed.outbox(1024, Chunks::MAX).overflow(Overflow::DropNewest);
    framed.sessions(|sessions| sessions.max(peers.unwrap_or(usize::MAX)).idle(silence))
}

/// Where the operator is.
struct Stage {
    book: Arc<Book>,
    screen: Screen,
    shown: Receiver<io::Result<()>>,
    mode: Option<Mode>,
}

impl Stage {
    fn set(server: &Server, log: Log, style: Style) -> io::Result<Self> {
        let book = Arc::new(Book::default());
        let (screen, inbox) = Screen::new()?;
        let waits = !io::stdin().is_terminal();
        let operator = Operator { book: book.clone(), server: server.handle(), waits };
        let (ended, shown) = sync_channel(1);
        let server = server.handle();
        let show = move |show: Box<dyn FnOnce() -> io::Result<()> + Send>| {
            let show = move || {
                let shown = show();
                if shown.is_err() {
                    // Nobody reads any more.
                    server.shutdown();
                }
                let _ = ended.send(shown);
            };
            std::thread::Builder::new().name("screen".into()).spawn(show)
        };
        let mode = if terminal::is_here() {
            let mode = Mode::set()?;
            if io::stderr().is_terminal() {
                let screen = screen.clone();
                log::set_elsewhere(Some(Box::new(move |lines| screen.note(lines))));
            }
            let terminal = Terminal { operator, book: book.clone(), inbox };
            show(Box::new(|| terminal.run()))?;
            Some(mode)
        } else {
            show(Box::new(move || inbox.print(style)))?;
            // It ends with the process: a read cannot be called off.
            let read = move || operator.read(io::stdin().lock(), &mut |lines| log.note(lines));
            std::thread::Builder::new().name("operator".into()).spawn(read)?;
            None
        };
        Ok(Self { book, screen, shown, mode })
    }

    /// Shows what is still to be shown, so long at most, and leaves the terminal as it was.
    ///
    /// # Errors
    /// Nobody reads it, or not fast enough.
    fn clear(self, patience: Duration) -> io::Result<()> {
        log::set_elsewhere(None);
        self.screen.end();
        let shown = self.shown.recv_timeout(patience);
        drop(self.mode);
        shown.unwrap_or_else(|_| Err(io::Error::other("nobody reads it fast enough")))
    }
}
