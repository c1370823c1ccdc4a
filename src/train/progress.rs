//! Why it exists: the only place that prints while training, and only because `verbose` installed it: a bar on a terminal,
//! a line an epoch elsewhere, so that logs stay short and free of control characters.

use super::callback::{Callback, Plan};
use super::history::Logs;
use super::model::Model;
use crate::{Result, clock};
use std::time::Instant;

/// Prints progress in Keras's words.
#[derive(Debug)]
pub struct Progress {
    bar: bool,
    plan: Plan,
    /// Nothing where there is no clock; then a line has no times.
    began: Option<Instant>,
    #[cfg(feature = "progress")]
    drawn: Option<indicatif::ProgressBar>,
}

impl Progress {
    /// A bar if `verbose` is 1 and standard error is a terminal; else a line an epoch on standard output.
    pub fn new(verbose: u8) -> Progress {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Progress {
            bar: cfg!(feature = "progress") && verbose == 1 && terminal,
            plan: Plan::default(),
            began: clock::now(),
            #[cfg(feature = "progress")]
            drawn: None,
        }
    }

    /// `1875/1875 - 2s - 1ms/step - accuracy: 0.9000 - loss: 0.3000`: Keras's line, figures in alphabetical order.
    fn line(&self, logs: &Logs) -> String {
        let n = self.plan.steps;
        let mut line = format!("{n}/{n}");
        if let Some(began) = self.began {
            let seconds = began.elapsed().as_secs_f64();
            let each = seconds / n.max(1) as f64;
            let each = if each >= 1e-3 {
                format!("{:.0}ms/step", each * 1e3)
            } else {
                format!("{:.0}us/step", each * 1e6)
            };
            line += &format!(" - {seconds:.0}s - {each}");
        }
        let mut figures: Vec<_> = logs.iter().collect();
        figures.sort_by_key(|(name, _)| *name);
        for (name, value) in figures {
            let small = value != 0.0 && value.abs() < 1e-3;
            line += &if small { format!(" - {name}: {value:.4e}") } else { format!(" - {name}: {value:.4}") };
        }
        line
    }
}

#[expect(clippy::print_stdout, reason = "the callback that prints")]
impl Callback for Progress {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        self.plan = plan.clone();
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize) -> Result<()> {
        self.began = clock::now();
        println!("Epoch {}/{}", epoch + 1, self.plan.epochs);
        #[cfg(feature = "progress")]
        if self.bar {
            let bar = indicatif::ProgressBar::new(self.plan.steps as u64);
            if let Ok(style) = indicatif::ProgressStyle::with_template("{pos}/{len} {bar:20} {elapsed} {msg}")
            {
                bar.set_style(style);
            }
            self.drawn = Some(bar);
        }
        Ok(())
    }

    fn on_batch_end(&mut self, _: &mut Model, batch: usize, loss: f64) -> Result<()> {
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.drawn
            && (batch.is_multiple_of(16) || batch + 1 == self.plan.steps)
        {
            bar.set_message(format!("loss: {loss:.4}"));
            bar.set_position(batch as u64 + 1);
        }
        #[cfg(not(feature = "progress"))]
        let _ = (batch, loss, self.bar);
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: usize, logs: &mut Logs) -> Result<()> {
        #[cfg(feature = "progress")]
        if let Some(bar) = self.drawn.take() {
            bar.finish_and_clear();
        }
        println!("{}", self.line(logs));
        Ok(())
    }
}
