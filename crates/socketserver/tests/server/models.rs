//! Models of one's own.

use crate::{connect, echo, is_served, within};
use socketserver::{Blocking, Model, Server, Service, Work};
use socketserver_testkit::Client;

#[test]
fn a_model_of_ones_own_and_work_that_is_dropped() {
    /// Serves every second connection, and turns the others away.
    struct EverySecond;
    impl Model for EverySecond {
        type Engine = Blocking;
        fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), socketserver::Error> {
            let mut at = 0;
            while let Some(job) = work.next()? {
                at += 1;
                if at % 2 == 0 {
                    job.run();
                }
            }
            Ok(())
        }
    }
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(EverySecond, echo).unwrap();
    connect(&server).expect_gone();
    is_served(&server.handle().endpoints()[0]);
    connect(&server).expect_gone();
    let report = server.stop().unwrap();
    assert_eq!((report.served, report.totals.closed, report.totals.read), (3, 3, 6));
}

#[test]
fn a_model_that_ends_by_itself_ends_the_run() {
    within("a model that ends by itself", || {
        struct One;
        impl Model for One {
            type Engine = Blocking;
            fn run<S: Service<Blocking> + Send + Sync>(
                self,
                work: Work<Blocking, S>,
            ) -> Result<(), socketserver::Error> {
                if let Some(job) = work.next()? {
                    job.run();
                }
                Ok(())
            }
        }
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
        for _ in 0..2 {
            let client = Client::connect(&server.endpoints()[0]).unwrap();
            client.reset();
            assert_eq!(server.serve(One, echo).unwrap().served, 1);
        }
    });
}

#[test]
fn a_model_that_panics_leaves_nothing_bound() {
    struct Panics;
    impl Model for Panics {
        type Engine = Blocking;
        fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), socketserver::Error> {
            drop(work.next()?);
            panic!("out of order")
        }
    }
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let endpoint = server.endpoints()[0].clone();
    let server = server.spawn(Panics, echo).unwrap();
    Client::connect(&endpoint).unwrap().expect_gone();
    assert!(within("a server whose model panics", || server.join()).is_err());
    assert!(Client::connect(&endpoint).is_err());
}
