//! Medians and quartiles.

/// The middle and the quartiles of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) q1: f64,
    pub(crate) median: f64,
    pub(crate) q3: f64,
}

impl Summary {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return None;
        }
        Some(Self { q1: quantile(&sorted, 0.25), median: quantile(&sorted, 0.5), q3: quantile(&sorted, 0.75) })
    }

    /// The interquartile spread.
    pub(crate) fn spread(&self) -> f64 {
        self.q3 - self.q1
    }
}

/// Between two neighbours in proportion. `sorted` must not be empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let summary = |figures: &[f64]| Summary::of(figures.iter().copied());
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&[3.0]), Some(Summary { q1: 3.0, median: 3.0, q3: 3.0 }));
        assert_eq!(summary(&[5.0, 1.0, 4.0, 2.0, 3.0]), Some(Summary { q1: 2.0, median: 3.0, q3: 4.0 }));
        assert_eq!(summary(&[1.0, 2.0]), Some(Summary { q1: 1.25, median: 1.5, q3: 1.75 }));
        assert_eq!(summary(&[5.0, 1.0, 4.0, 2.0, 3.0]).map(|summary| summary.spread()), Some(2.0));
    }
}
