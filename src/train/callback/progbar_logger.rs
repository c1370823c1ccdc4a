//! `ProgbarLogger`: the callback that `verbose` installs. It prints a bar on a terminal and one line per epoch elsewhere, so that logs stay
//! short and free of control characters, and warns once when the loss is NaN.

use super::{Callback, Plan};
use crate::tensor::Tensor;
use crate::train::figure::Figure;
use crate::train::{Logs, Model};
use crate::{Result, clock};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Prints progress in Keras's words. `fit` adds one, as its `verbose` says, unless a callback shows progress already; an evaluation or
/// a prediction has one if it is given to [`Model::with_callbacks`].
///
/// ```
/// use gradus::prelude::*;
/// use gradus::train::ProgbarLogger;
///
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// model.with_callbacks([ProgbarLogger::new().verbose(2)]).evaluate(&x, &x)?; // 1/1 - 0s - 312us/step - loss: 1.2345
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct ProgbarLogger {
    verbose: u8,
    plan: Plan,
    /// Whether `fit` is running: then the evaluation that it validates by is not shown.
    fitting: bool,
    /// Nothing where there is no clock; then a line has no times, and there is no bar.
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

    /// The line, when so many steps of all (if somebody knows how many there are) are done.
    fn line(done: usize, steps: Option<usize>, elapsed: Duration, logs: &Logs) -> String {
        let each = elapsed.div_f64(done.max(1) as f64);
        let mut line = match steps {
            None => format!("{done}/unknown - {} so far", clock_time(elapsed)),
            Some(steps) => {
                let full = (Bar::LENGTH * done.min(steps)).checked_div(steps).unwrap_or(Bar::LENGTH);
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

impl Default for ProgbarLogger {
    fn default() -> Self {
        ProgbarLogger::new()
    }
}

impl ProgbarLogger {
    /// A bar if standard error is a terminal; else a line an epoch on standard output.
    pub fn new() -> ProgbarLogger {
        ProgbarLogger {
            verbose: 1,
            plan: Plan::default(),
            fitting: false,
            began: clock::now(),
            done: 0,
            epoch: 0,
            drawn: None,
            warned: false,
        }
    }

    /// 0: nothing; 1 (default): a bar on a terminal, else as 2; 2: a line an epoch.
    #[must_use]
    pub fn verbose(mut self, verbose: u8) -> ProgbarLogger {
        self.verbose = verbose;
        self
    }

    /// Whether a bar is drawn: if it was asked for, and standard error is a terminal.
    fn bar(&self) -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !dumb;
        cfg!(feature = "progress") && self.verbose == 1 && terminal
    }

    /// An epoch, an evaluation or a prediction begins.
    fn begin(&mut self) {
        self.began = clock::now();
        self.done = 0;
        let bar = self.bar();
        self.drawn = self.began.filter(|_| bar).map(|now| Bar { next: now + Bar::EVERY, width: 0 });
    }

    /// So many steps are done, and these are the figures.
    fn step(&mut self, done: usize, logs: impl FnOnce() -> Logs) {
        self.done = done;
        if let (Some(bar), Some(began)) = (&mut self.drawn, self.began)
            && (Some(done) == self.plan.steps || Instant::now() >= bar.next)
        {
            let now = Instant::now();
            bar.draw(&Bar::line(done, self.plan.steps, began.elapsed(), &logs()));
            // Metrics whose figure takes long are asked more seldom.
            bar.next = Instant::now() + Bar::EVERY.max(now.elapsed() * 20);
        }
    }

    /// The last line.
    #[expect(clippy::print_stdout, reason = "the callback that prints")]
    fn end(&mut self, logs: &Logs) {
        if let Some(mut bar) = self.drawn.take() {
            bar.clear();
        }
        if self.verbose > 0 {
            println!("{}", self.line(logs));
        }
    }

    /// `1875/1875 - 2s - 1ms/step - accuracy: 0.9000 - loss: 0.3000`: Keras's line.
    fn line(&self, logs: &Logs) -> String {
        let mut line = format!("{}/{}", self.done, self.plan.steps.unwrap_or(0).max(self.done));
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
impl Callback for ProgbarLogger {
    fn shows_progress(&self) -> bool {
        true
    }

    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.plan = plan.clone();
        (self.fitting, self.warned) = (true, false);
        Ok(())
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.fitting = false;
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
        self.begin();
        self.epoch = epoch;
        // As in Keras: a single epoch has no heading.
        if self.verbose > 0 && self.plan.epochs > 1 {
            println!("Epoch {}/{}", epoch + 1, self.plan.epochs);
        }
        Ok(())
    }

    fn on_train_batch_end(&mut self, model: &mut Model, batch: usize, loss: f64) -> Result<()> {
        if !loss.is_finite() && !self.warned && self.verbose > 0 {
            (self.warned, self.done) = (true, batch + 1);
            if let Some(bar) = &mut self.drawn {
                bar.clear();
            }
            eprintln!("{}", self.warning(loss));
        }
        self.step(batch + 1, || model.logs());
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: usize, logs: &mut Logs) -> Result<()> {
        self.end(logs);
        Ok(())
    }

    fn on_test_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        if !self.fitting {
            self.plan = plan.clone();
            self.begin();
        }
        Ok(())
    }

    fn on_test_batch_end(&mut self, model: &mut Model, batch: usize, _: f64) -> Result<()> {
        if !self.fitting {
            self.step(batch + 1, || model.logs());
        }
        Ok(())
    }

    fn on_test_end(&mut self, _: &mut Model, logs: &Logs) -> Result<()> {
        if !self.fitting {
            self.end(logs);
        }
        Ok(())
    }

    fn on_predict_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.plan = plan.clone();
        self.begin();
        Ok(())
    }

    fn on_predict_batch_end(&mut self, _: &mut Model, batch: usize, _: &[Tensor]) -> Result<()> {
        self.step(batch + 1, Logs::new);
        Ok(())
    }

    fn on_predict_end(&mut self, _: &mut Model) -> Result<()> {
        self.end(&Logs::new());
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
        let line =
            |done, steps: Option<usize>, ms| Bar::line(done, steps, Duration::from_millis(ms), &logs());
        let figures = "accuracy: 0.5000 - loss: 0.2500";
        assert_eq!(line(0, Some(4), 0), format!("0/4 ░░░░░░░░░░░░░░░░░░░░ 0s left - 0us/step - {figures}"));
        assert_eq!(line(3, Some(4), 7500), format!("3/4 ███████████████░░░░░ 3s left - 2s/step - {figures}"));
        assert_eq!(line(5, Some(4), 10), format!("5/4 ████████████████████ 0s left - 2ms/step - {figures}"));
        assert_eq!(line(5, None, 65_000), format!("5/unknown - 1:05 so far - 13s/step - {figures}"));
        assert_eq!(clock_time(Duration::from_secs(3723)), "1:02:03");
    }

    #[test]
    fn an_epoch_that_ends_early_says_how_many_steps_it_had() {
        let mut progress = ProgbarLogger::new().verbose(2);
        progress.plan.steps = Some(10);
        (progress.done, progress.began) = (1, None);
        assert_eq!(progress.line(&logs()), "1/10 - accuracy: 0.5000 - loss: 0.2500");
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_once() {
        let mut progress = ProgbarLogger::new().verbose(2);
        (progress.epoch, progress.done) = (1, 3);
        assert!(progress.warning(f64::NAN).starts_with("warning: the loss is NaN since epoch 2, step 3, "));
    }

    #[test]
    fn the_line_of_an_epoch_counts_the_steps_that_were_done() {
        let mut progress = ProgbarLogger { began: None, ..ProgbarLogger::new() };
        let mut logs = Logs::new();
        logs.set("loss", 0.5);
        for (done, planned, line) in [(1, Some(1), "1/1"), (2, Some(3), "2/3"), (4, None, "4/4")] {
            (progress.done, progress.plan.steps) = (done, planned);
            assert_eq!(progress.line(&logs), format!("{line} - loss: 0.5000"));
        }
    }
}
