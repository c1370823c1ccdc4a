//! `Progress`: prints progress while training, as a bar on a terminal and one line per epoch elsewhere, so that
//! logs stay short and free of control characters. It also warns once when the loss is not finite. Nothing else
//! prints while training, and this only if `verbose` asks for it.

use super::callback::{Callback, Plan};
use super::history::{Figure, Logs};
use super::model::Model;
use crate::{Result, clock};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Prints progress in Keras's format.
#[derive(Debug)]
pub struct Progress {
    bar: bool,
    plan: Plan,
    /// `None` where there is no clock; then a line shows no times, and there is no bar.
    began: Option<Instant>,
    /// Steps done in this epoch.
    done: usize,
    epoch: usize,
    drawn: Option<Bar>,
    warned: bool,
}

/// A line on standard error that is redrawn:
/// `1200/1875 ████████░░░░░░░ 2s left - 3ms/step - accuracy: 0.9000 - loss: 0.3210`. It is written here because a
/// crate for progress bars takes long to build.
#[derive(Debug)]
struct Bar {
    /// When to draw again.
    next: Instant,
    /// Characters in the line currently shown.
    width: usize,
}

impl Bar {
    /// Characters of the bar itself.
    const LENGTH: usize = 20;
    /// The shortest time between redraws: nobody can read faster.
    const EVERY: Duration = Duration::from_millis(50);

    /// The line after `done` of `steps` steps (0 if their number is unknown).
    fn line(done: usize, steps: usize, elapsed: Duration, logs: &Logs) -> String {
        let each = elapsed.div_f64(done.max(1) as f64);
        let mut line = match (Bar::LENGTH * done.min(steps)).checked_div(steps) {
            None => format!("{done}/unknown - {} so far", clock_time(elapsed)),
            Some(full) => {
                let (full, rest) = ("█".repeat(full), "░".repeat(Bar::LENGTH - full));
                let left = each.mul_f64(steps.saturating_sub(done) as f64);
                format!("{done}/{steps} {full}{rest} {} left", clock_time(left))
            }
        };
        line += &format!(" - {}", a_step(each));
        line + &by_name(logs)
    }

    /// Draws over the current line. If standard error is closed, nobody sees it, which is not an error.
    fn draw(&mut self, line: &str) {
        let (before, width) = (self.width, line.chars().count());
        let mut out = std::io::stderr();
        let _ = write!(out, "\r{line:before$}").and_then(|()| out.flush());
        self.width = width;
    }

    /// Clears the line.
    fn clear(&mut self) {
        self.draw("");
        let _ = write!(std::io::stderr(), "\r");
        self.width = 0;
    }
}

/// `42s`, `2:05`, `1:00:03`.
fn clock_time(time: Duration) -> String {
    let s = time.as_secs_f64().round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}:{:02}", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
    }
}

/// `3ms/step`.
fn a_step(each: Duration) -> String {
    match each.as_secs_f64() {
        s if s >= 1.0 => format!("{s:.0}s/step"),
        s if s >= 1e-3 => format!("{:.0}ms/step", s * 1e3),
        s => format!("{:.0}us/step", s * 1e6),
    }
}

/// ` - accuracy: 0.9000 - loss: 0.3000`: in alphabetical order, as Keras has them.
fn by_name(logs: &Logs) -> String {
    let mut figures: Vec<_> = logs.iter().collect();
    figures.sort_by_key(|(name, _)| *name);
    figures.iter().map(|(name, value)| format!(" - {name}: {}", Figure(*value))).collect()
}

impl Progress {
    /// Shows a bar if `verbose` is 1 and standard error is a terminal; otherwise prints one line per epoch on
    /// standard output.
    pub fn new(verbose: u8) -> Progress {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !dumb;
        Progress {
            bar: cfg!(feature = "progress") && verbose == 1 && terminal,
            plan: Plan::default(),
            began: clock::now(),
            done: 0,
            epoch: 0,
            drawn: None,
            warned: false,
        }
    }

    /// `1875/1875 - 2s - 1ms/step - accuracy: 0.9000 - loss: 0.3000`: Keras's line.
    fn line(&self, logs: &Logs) -> String {
        let mut line = format!("{}/{}", self.done, self.plan.steps.max(self.done));
        if let Some(began) = self.began {
            let elapsed = began.elapsed();
            let each = elapsed.div_f64(self.done.max(1) as f64);
            line += &format!(" - {:.0}s - {}", elapsed.as_secs_f64(), a_step(each));
        }
        line + &by_name(logs)
    }

    /// The warning when the loss is not finite for the first time.
    fn warning(&self, loss: f64) -> String {
        format!(
            "warning: the loss is {} since epoch {}, step {}, and will stay so: Fit::check_finite() ends training there and names \
             the layer and the operation that it comes from",
            if loss.is_nan() { "NaN" } else { "infinite" },
            self.epoch + 1,
            self.done
        )
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the callback that prints")]
impl Callback for Progress {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.plan = plan.clone();
        self.warned = false;
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
        self.began = clock::now();
        (self.done, self.epoch) = (0, epoch);
        println!("Epoch {}/{}", epoch + 1, self.plan.epochs);
        self.drawn = self.began.filter(|_| self.bar).map(|now| Bar { next: now + Bar::EVERY, width: 0 });
        Ok(())
    }

    fn on_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        self.done = batch + 1;
        if !loss.is_finite() && !self.warned {
            self.warned = true;
            if let Some(bar) = &mut self.drawn {
                bar.clear();
            }
            eprintln!("{}", self.warning(loss));
        }
        if let (Some(bar), Some(began)) = (&mut self.drawn, self.began)
            && (self.done == self.plan.steps || Instant::now() >= bar.next)
        {
            let now = Instant::now();
            let logs = model.head.logs(&model.meter, loss);
            bar.draw(&Bar::line(self.done, self.plan.steps, began.elapsed(), &logs));
            // Metrics whose value takes long to compute are read less often.
            bar.next = Instant::now() + Bar::EVERY.max(now.elapsed() * 20);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: usize, logs: &mut Logs) -> Result<()> {
        if let Some(mut bar) = self.drawn.take() {
            bar.clear();
        }
        println!("{}", self.line(logs));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Logs {
        let mut logs = Logs::new();
        logs.set("loss", 0.25);
        logs.set("accuracy", 0.5);
        logs
    }

    #[test]
    fn a_bar_fills_from_left_to_right_and_shows_metrics_and_the_time_left() {
        let line = |done, steps, ms| Bar::line(done, steps, Duration::from_millis(ms), &logs());
        let figures = "accuracy: 0.5000 - loss: 0.2500";
        assert_eq!(line(0, 4, 0), format!("0/4 ░░░░░░░░░░░░░░░░░░░░ 0s left - 0us/step - {figures}"));
        assert_eq!(line(3, 4, 7500), format!("3/4 ███████████████░░░░░ 3s left - 2s/step - {figures}"));
        assert_eq!(line(5, 4, 10), format!("5/4 ████████████████████ 0s left - 2ms/step - {figures}"));
        assert_eq!(line(5, 0, 65_000), format!("5/unknown - 1:05 so far - 13s/step - {figures}"));
        assert_eq!(clock_time(Duration::from_secs(3723)), "1:02:03");
    }

    #[test]
    fn an_epoch_that_ends_early_says_how_many_steps_it_had() {
        let mut progress = Progress::new(2);
        progress.plan.steps = 10;
        (progress.done, progress.began) = (1, None);
        assert_eq!(progress.line(&logs()), "1/10 - accuracy: 0.5000 - loss: 0.2500");
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_once() {
        let mut progress = Progress::new(2);
        (progress.epoch, progress.done) = (1, 3);
        assert!(progress.warning(f64::NAN).starts_with("warning: the loss is NaN since epoch 2, step 3, "));
    }

    #[test]
    fn the_line_of_an_epoch_counts_the_steps_that_were_done() {
        let mut progress = Progress { began: None, ..Progress::new(2) };
        let mut logs = Logs::new();
        logs.set("loss", 0.5);
        for (done, planned, line) in [(1, 1, "1/1"), (2, 3, "2/3"), (4, 0, "4/4")] {
            (progress.done, progress.plan.steps) = (done, planned);
            assert_eq!(progress.line(&logs), format!("{line} - loss: 0.5000"));
        }
    }
}
