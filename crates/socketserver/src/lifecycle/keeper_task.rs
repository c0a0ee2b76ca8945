use super::{Keeper, Step};
use crate::Error;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use socketserver_sys::{SharedFd, Watched};
use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;

/// Keeps in a task, where a thread of its own is not wanted: by the runtime's clock, which a test can pause.
pub(crate) async fn keep(mut keeper: Keeper) -> Result<(), Error> {
    let failed = |error| Error::io("cannot watch over the server", error);
    // One descriptor for all that it waits for, some of which come and go.
    let all = epoll::create(CreateFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let all = Watched::for_reading(all).map_err(failed)?;
    while let Step::Wait(until) = keeper.step() {
        keeper.watch_with(&mut |fd| add(all.descriptor(), fd)).map_err(failed)?;
        // What was ready before this step was looked at in it.
        let woken = async {
            poll_fn(|cx| all.poll_read_ready(cx)).await?.clear_ready();
            io::Result::Ok(())
        };
        match until {
            // Woken or not, the next step looks at everything.
            Some(until) => drop(tokio::time::timeout_at(until.into(), woken).await),
            None => drop(woken.await),
        }
    }
    Ok(())
}

fn add(epoll: &SharedFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    match epoll::add(epoll, fd, EventData::new_u64(0), EventFlags::IN) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
