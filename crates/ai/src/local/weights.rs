//! Reads a model out of its GGUF file: weights, tokenizer and chat template. Weights in a format for which candle has
//! no fast arithmetic are rewritten once, into a second file beside the first.

use crate::model::ModelError;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper, Tokenizer};

pub(super) struct Weights {
    pub model: ModelWeights,
    pub tokenizer: Tokenizer,
    /// Jinja.
    pub template: String,
    /// Tokens that end a reply.
    pub ends: Vec<u32>,
}

/// Loads the model; takes a second the first time, and some tenths later.
pub(super) fn load(file: &Path) -> Result<Weights, ModelError> {
    read(&quick_file(file)).map_err(|error| ModelError::bad(format!("{} cannot be used: {error}", file.display())))
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Formats without a fast path in candle.
fn is_slow(format: GgmlDType) -> bool {
    matches!(format, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 | GgmlDType::Q8_1)
}

/// The file to load: the one beside `file` in Q8_0, made when there is need and it is not there or older.
fn quick_file(file: &Path) -> PathBuf {
    let quick = file.with_extension("q8_0.gguf");
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    if changed(&quick).is_some_and(|at| changed(file).is_some_and(|source| at >= source)) {
        return quick;
    }
    match requantise(file, &quick) {
        Ok(true) => quick,
        Ok(false) => file.to_owned(),
        Err(error) => {
            tracing::warn!(%error, file = %quick.display(), "the faster form of the model could not be written: it will be slow");
            file.to_owned()
        }
    }
}

/// Writes `from` to `to` with every slow tensor in Q8_0; false when there was none. Others see the whole file or none.
fn requantise(from: &Path, to: &Path) -> Outcome<bool> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(from)?);
    let content = gguf_file::Content::read(&mut reader)?;
    if !content.tensor_infos.values().any(|info| is_slow(info.ggml_dtype)) {
        return Ok(false);
    }
    let device = Device::Cpu;
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let tensor = content.tensor(&mut reader, name, &device)?;
        let tensor = if is_slow(tensor.dtype()) {
            QTensor::quantize(&tensor.dequantize(&device)?, GgmlDType::Q8_0)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let metadata: Vec<_> = content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();

    // Of this process alone, so that two that start at once do not write into one file.
    let part = to.with_extension(format!("{}.part", std::process::id()));
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&part)?);
        gguf_file::write(&mut writer, &metadata, &tensors)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        Ok(fs::rename(&part, to)?)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.map(|()| true)
}

fn read(file: &Path) -> Outcome<Weights> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
    let content = gguf_file::Content::read(&mut reader)?;
    let value = |key: &str| content.metadata.get(key).ok_or_else(|| format!("it has no {key}"));
    let template = value("tokenizer.chat_template")?.to_string()?.clone();
    let tokenizer = tokenizer(&content)?;
    let mut ends = vec![value("tokenizer.ggml.eos_token_id")?.to_u32()?];
    ends.extend(
        ["<|endoftext|>", "<|im_end|>", "<|im_start|>"].iter().filter_map(|token| tokenizer.token_to_id(token)),
    );
    let model = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu)?;
    Ok(Weights { model, tokenizer, template, ends })
}

/// The byte-level BPE of the GGUF's arrays. candle's own reading of it takes another pre-tokenizer for this family.
fn tokenizer(content: &gguf_file::Content) -> Outcome<Tokenizer> {
    let values = |key: &str| -> Outcome<&Vec<gguf_file::Value>> {
        Ok(content.metadata.get(key).ok_or_else(|| format!("it has no {key}"))?.to_vec()?)
    };
    let strings = |key: &str| -> Outcome<Vec<String>> {
        values(key)?.iter().map(|value| Ok(value.to_string()?.clone())).collect()
    };
    let tokens = strings("tokenizer.ggml.tokens")?;
    let merges = strings("tokenizer.ggml.merges")?
        .iter()
        .map(|merge| merge.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or("a merge of one part"))
        .collect::<Result<Vec<_>, _>>()?;
    let vocabulary: Vocab = tokens.iter().cloned().zip(0_u32..).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).build()?;

    let mut tokenizer = Tokenizer::new(bpe);
    let steps = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(steps))));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    // Type 1 is an ordinary token.
    let types = values("tokenizer.ggml.token_type")?;
    let special = tokens.iter().zip(types).filter(|(_, kind)| kind.to_i32().is_ok_and(|kind| kind != 1));
    let special: Vec<AddedToken> = special.map(|(token, _)| AddedToken::from(token.clone(), true)).collect();
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}
