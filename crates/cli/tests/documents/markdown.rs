//! As much of Markdown as the documents use: fenced blocks of code, headings, links.

/// A fenced block of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the opening fence: `rust file=src/main.rs`.
    pub(crate) info: String,
    /// What is between the fences, each line with its newline.
    pub(crate) text: String,
}

impl Block {
    /// The first word: how to show it.
    pub(crate) fn language(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }

    /// The value of a word `name=value`.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.info.split(' ').skip(1).find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A document, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The blocks of code, each with the line of prose before it.
    pub(crate) blocks: Vec<(String, Block)>,
    /// All lines that are not in one.
    pub(crate) prose: Vec<String>,
}

impl Document {
    /// Takes a text apart.
    pub(crate) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                document.prose.push(line.to_owned());
                continue;
            };
            let code = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let before = document.prose.iter().rfind(|line| !line.is_empty()).cloned().unwrap_or_default();
            document.blocks.push((before, Block { info: info.to_owned(), text: code }));
        }
        document
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for line in &self.prose {
            let heading = line.trim_start_matches('#');
            if heading.len() == line.len() || !heading.starts_with(' ') {
                continue;
            }
            let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let same = anchors.iter().filter(|other| **other == anchor).count();
            anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
        }
        anchors
    }

    /// Where its links lead, pictures too. What is in backquotes is none.
    pub(crate) fn links(&self) -> Vec<String> {
        // A link may be broken over two lines.
        let text = self.prose.join("\n");
        let plain: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }
}
