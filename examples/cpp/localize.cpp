// One picture and one sound to a heat map, with ONNX Runtime's C++ API and nothing else.
//
//   localize BUNDLE picture.ppm sound.wav heat.pgm [similarity.txt]
//
// picture: binary PPM (P6, 8 bits), any size; sound: WAV, PCM 16 bits or float 32 bits, mono or more, 16 kHz.
//   ffmpeg -f v4l2 -i /dev/video0 -frames:v 1 picture.ppm      ffmpeg -i any.mp3 -ar 16000 -ac 1 sound.wav
// The bundle's hashes are not checked here: run `lvs-export verify BUNDLE` once where the bundle arrives.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

constexpr int kSide = 224, kGrid = 14, kChannels = 512, kRate = 16000;

struct Picture {
    int width = 0, height = 0;
    std::vector<uint8_t> rgb;  // height * width * 3
};

Picture read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int limit = 0;
    Picture picture;
    file >> magic >> picture.width >> picture.height >> limit;
    if (magic != "P6" || limit != 255 || picture.width < 1 || picture.height < 1 || picture.width > 16384 ||
        picture.height > 16384)
        throw std::runtime_error(path + ": want a binary PPM (P6) of 8 bits without comments");
    file.get();
    picture.rgb.resize(size_t(picture.width) * picture.height * 3);
    if (!file.read(reinterpret_cast<char*>(picture.rgb.data()), std::streamsize(picture.rgb.size())))
        throw std::runtime_error(path + ": shorter than its header says");
    return picture;
}

// Squash to 224 x 224: the mean over the area that each output pixel covers (OpenCV's INTER_AREA for shrinking).
std::vector<uint8_t> squash(const Picture& in) {
    std::vector<uint8_t> out(size_t(kSide) * kSide * 3);
    const double sx = double(in.width) / kSide, sy = double(in.height) / kSide;
    for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x) {
            double sum[3] = {0, 0, 0}, total = 0;
            const double y0 = y * sy, y1 = std::min<double>((y + 1) * sy, in.height);
            const double x0 = x * sx, x1 = std::min<double>((x + 1) * sx, in.width);
            for (int row = int(y0); row < y1 && row < in.height; ++row)
                for (int column = int(x0); column < x1 && column < in.width; ++column) {
                    const double covered = (std::min<double>(row + 1, y1) - std::max<double>(row, y0)) *
                                           (std::min<double>(column + 1, x1) - std::max<double>(column, x0));
                    const uint8_t* pixel = &in.rgb[(size_t(row) * in.width + column) * 3];
                    for (int c = 0; c < 3; ++c) sum[c] += covered * pixel[c];
                    total += covered;
                }
            for (int c = 0; c < 3; ++c) out[(size_t(y) * kSide + x) * 3 + c] = uint8_t(std::lround(sum[c] / total));
        }
    return out;
}

template <class T>
T at(const std::vector<char>& bytes, size_t offset) {
    if (offset + sizeof(T) > bytes.size()) throw std::runtime_error("WAV file is truncated");
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

std::vector<float> read_wav(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() < 12 || std::memcmp(&bytes[0], "RIFF", 4) || std::memcmp(&bytes[8], "WAVE", 4))
        throw std::runtime_error(path + ": not a WAV file");
    uint16_t kind = 0, channels = 0, bits = 0;
    uint32_t rate = 0;
    for (size_t position = 12; position + 8 <= bytes.size();) {
        const uint32_t size = at<uint32_t>(bytes, position + 4);
        const size_t body = position + 8;
        if (!std::memcmp(&bytes[position], "fmt ", 4)) {
            kind = at<uint16_t>(bytes, body), channels = at<uint16_t>(bytes, body + 2);
            rate = at<uint32_t>(bytes, body + 4), bits = at<uint16_t>(bytes, body + 14);
        } else if (!std::memcmp(&bytes[position], "data", 4)) {
            const bool pcm = kind == 1 && bits == 16, real = kind == 3 && bits == 32;
            if ((!pcm && !real) || !channels || rate != kRate)
                throw std::runtime_error(path + ": want 16 kHz, PCM 16 bits or float 32 bits; ffmpeg -ar 16000 makes it");
            const size_t step = size_t(channels) * bits / 8, end = std::min(bytes.size(), body + size);
            std::vector<float> mono;
            for (size_t frame = body; frame + step <= end; frame += step) {
                float sum = 0;
                for (size_t c = 0; c < channels; ++c)
                    sum += pcm ? at<int16_t>(bytes, frame + 2 * c) / 32768.0f : at<float>(bytes, frame + 4 * c);
                mono.push_back(sum / channels);
            }
            if (mono.empty()) throw std::runtime_error(path + ": no samples in it");
            return mono;
        }
        position = body + size + (size & 1);
    }
    throw std::runtime_error(path + ": no samples in it");
}

// The audio graph of fixed length takes exactly its length, one of variable length 0.5 to 10 s: repeat or cut.
std::vector<float> fit(const std::vector<float>& sound, int64_t wanted) {
    const size_t length = wanted > 0 ? size_t(wanted) : std::clamp<size_t>(sound.size(), kRate / 2, 10 * kRate);
    std::vector<float> fitted(length);
    for (size_t i = 0; i < length; ++i) fitted[i] = sound[i % sound.size()];
    return fitted;
}

class Graph {
   public:
    Graph(Ort::Env& env, const std::string& path) : session_(env, path.c_str(), options()) {}

    int64_t last_input_axis() { return session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape().back(); }

    template <class T>
    std::vector<float> run(const char* input, const char* output, std::vector<T>& data, std::vector<int64_t> shape) {
        auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        Ort::Value tensor = Ort::Value::CreateTensor<T>(memory, data.data(), data.size(), shape.data(), shape.size());
        std::vector<Ort::Value> found = session_.Run(Ort::RunOptions{nullptr}, &input, &tensor, 1, &output, 1);
        const float* values = found[0].GetTensorData<float>();
        return {values, values + found[0].GetTensorTypeAndShapeInfo().GetElementCount()};
    }

   private:
    static Ort::SessionOptions options() {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(2);
        options.AddConfigEntry("session.intra_op.allow_spinning", "0");
        return options;
    }
    Ort::Session session_;
};

int main(int argc, char** argv) try {
    if (argc < 5) throw std::runtime_error("usage: localize BUNDLE picture.ppm sound.wav heat.pgm [similarity.txt]");
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);  // before the first Env
    Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "lvs");
    const std::string bundle = argv[1];
    Graph image(env, bundle + "/image.onnx"), audio(env, bundle + "/audio.onnx");

    const Picture frame = read_ppm(argv[2]);
    auto pixels = squash(frame);
    auto sound = fit(read_wav(argv[3]), audio.last_input_axis());
    const auto cells = image.run("image", "image_embedding", pixels, {1, kSide, kSide, 3});
    const auto heard = audio.run("waveform", "audio_embedding", sound, {1, int64_t(sound.size())});

    std::vector<float> similarity(kGrid * kGrid, 0.0f);  // one matrix product: the cosine of every cell with the sound
    for (int c = 0; c < kChannels; ++c)
        for (int cell = 0; cell < kGrid * kGrid; ++cell) similarity[cell] += heard[c] * cells[c * kGrid * kGrid + cell];

    std::ofstream heat(argv[4], std::ios::binary);
    heat << "P5\n" << frame.width << " " << frame.height << "\n255\n";
    for (int y = 0; y < frame.height; ++y)
        for (int x = 0; x < frame.width; ++x) {  // bilinear between the centres of the cells
            const double v = std::clamp((y + 0.5) * kGrid / frame.height - 0.5, 0.0, kGrid - 1.0);
            const double u = std::clamp((x + 0.5) * kGrid / frame.width - 0.5, 0.0, kGrid - 1.0);
            const int r = std::min(int(v), kGrid - 2), k = std::min(int(u), kGrid - 2);
            const double a = v - r, b = u - k;
            const float* s = &similarity[r * kGrid + k];
            const double value = (1 - a) * ((1 - b) * s[0] + b * s[1]) + a * ((1 - b) * s[kGrid] + b * s[kGrid + 1]);
            heat.put(char(uint8_t(std::lround(255 * std::clamp(value, 0.0, 1.0)))));
        }
    if (!heat) throw std::runtime_error(std::string(argv[4]) + ": cannot be written");
    if (argc > 5) {
        std::ofstream text(argv[5]);
        text.precision(9);
        for (float value : similarity) text << value << "\n";
    }
    const int peak = int(std::max_element(similarity.begin(), similarity.end()) - similarity.begin());
    std::cout << "peak x=" << int((peak % kGrid + 0.5) * frame.width / kGrid)
              << " y=" << int((peak / kGrid + 0.5) * frame.height / kGrid) << " similarity=" << similarity[peak] << "\n";
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
}
