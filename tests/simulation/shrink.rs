//! Makes a failing story as short as possible: leaves out whatever it fails without.

use crate::play::play;
use crate::story::Story;

/// The shortest story found that breaks a promise.
pub fn shrink(story: &Story) -> Story {
    let mut best = story.clone();
    let mut size = (best.events.len() / 2).max(1);
    loop {
        let mut shorter = false;
        let mut from = 0;
        while from < best.events.len() {
            let tried = best.without(from..(from + size).min(best.events.len()));
            if play(&tried, false).violation.is_some() {
                best = tried;
                shorter = true;
            } else {
                from += size;
            }
        }
        if size > 1 {
            size /= 2;
        } else if !shorter {
            return best;
        }
    }
}

/// The story of a seed that breaks a promise, for people: shortened, with what happened.
pub fn tell(story: &Story) -> String {
    let short = shrink(story);
    let played = play(&short, true);
    let promise = played.violation.unwrap_or_default();
    let (seed, lines) = (story.seed, played.lines.join("\n"));
    let left_out = story.events.len() - short.events.len();
    format!(
        "seed {seed} breaks a promise: {promise}\n\nThe story, with {left_out} of {} events left out:\n{short}\n\
         What happens:\n{lines}\n\nAgain: make simulate SEED={seed}\n",
        story.events.len()
    )
}
